from ca import serials


def test_serials_are_positive_short_enough_unique_and_look_random() -> None:
    numbers = [serials.new_serial_number() for _ in range(100_000)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < one.bit_length() <= 8 * serials.MAX_OCTETS - 1 for one in numbers)
    for bit in range(serials.RANDOM_BITS):
        ones = sum(number >> bit & 1 for number in numbers)
        # Six standard deviations of a fair coin thrown 100,000 times.
        assert abs(ones - 50_000) < 6 * 158
