"""Send mutated signed documents through the validation workers, for as long as asked.

    python -m tests.support.document_fuzzing ../shared/corpus/files --minutes 30

Bytes are mutated, and so is what they mean: nodes of XML and values of DER are dropped, doubled and
moved with the lengths around them put right, and files in containers are mutated and packed again,
so that more than the outermost check is reached. Every document has to be judged or refused within
the workers' limits. Whatever else happens is told, with the document in a file, and the exit code
is 1. Nothing is trusted, so that a document that passes is a fault too.
"""

import argparse
import collections
import concurrent.futures
import copy
import dataclasses
import datetime
import hashlib
import io
import logging
import pathlib
import random
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence

from lxml import etree

from pki import clock, der, errors
from signing_service import documents, trust
from signing_service.validation import isolation, report
from tests.support import fuzzing

MAX_SAMPLE_BYTES = 3 * 2**20
"""Larger ones take their time by their size, and the run shall see many."""

MAX_DEPTH = 40

FAULTS = {isolation.ValidationTimeoutError.code, isolation.ValidationCrashError.code}


@dataclasses.dataclass
class Run:
    """What a run found."""

    documents: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    outcomes: "collections.Counter[str]" = dataclasses.field(default_factory=collections.Counter)
    faults: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.documents} documents, slowest {self.slowest_s:.2f} s ({self.slowest})",
            *(f"{count:>8}  {name}" for name, count in self.outcomes.most_common()),
            *self.faults,
        ]
        return "\n".join(lines)


def mutated(chance: random.Random, data: bytes, samples: Sequence[bytes]) -> bytes:
    """A document with something wrong in its bytes, its structure or one of its files."""
    if chance.random() < 0.3:
        return fuzzing.mutated(chance, [data, chance.choice(samples)])
    for reads, change in (
        (data[:2] == b"PK", _container),
        (data[:1] == b"0", _der),
        (data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<", _xml),
        (b"%PDF-" in data[:1024], _pdf),
    ):
        if reads:
            return change(chance, data, samples)
    return fuzzing.mutated(chance, [data])


def _container(chance: random.Random, data: bytes, samples: Sequence[bytes]) -> bytes:
    """One file of a container mutated, dropped, doubled or renamed, all packed again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [(one.filename, archive.read(one)) for one in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError):
        return fuzzing.mutated(chance, [data])
    for _ in range(chance.randint(1, 2)):
        # What lies in META-INF is read; the rest is hashed.
        inner = [at for at, (name, _) in enumerate(files) if name.startswith("META-INF/")]
        at = chance.choice(inner or range(len(files))) if files else 0
        if not files:
            break
        name, content = files[at]
        match chance.randrange(8):
            case 0:
                del files[at]
            case 1:
                files.insert(chance.randint(0, len(files)), (name, content))
            case 2:
                files[at] = (chance.choice(files)[0], content)
            case 3:
                files[at] = (name + chance.choice(("/", "\x00x", ".p7s", "/../x", "x")), content)
            case _:
                files[at] = (name, mutated(chance, content, samples))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two files of one name, which are meant here
        for name, content in files:
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return target.getvalue()


def _xml(chance: random.Random, data: bytes, samples: Sequence[bytes]) -> bytes:
    """Nodes dropped, doubled, moved; attributes and text swapped with others'."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return fuzzing.mutated(chance, [data])
    for _ in range(chance.randint(1, 3)):
        nodes = [one for one in root.iter() if isinstance(one.tag, str)]
        one, other = chance.choice(nodes), chance.choice(nodes)
        parent = one.getparent()
        match chance.randrange(6):
            case 0 if parent is not None:
                parent.remove(one)
            case 1 if parent is not None:
                parent.insert(chance.randint(0, len(parent)), _copy(one))
            case 2 if parent is not None and one not in other.iterancestors() and one is not other:
                other.append(_copy(one))
            case 3:
                one.text = chance.choice((other.text, "", "AAAA", "-1", "9" * 400))
            case 4:
                for key in list(one.attrib):
                    one.set(key, chance.choice((one.get(key), other.get(key, ""), "#", "#x", "")))
            case _:
                one.tag = other.tag
    return etree.tostring(root)


def _copy(node: etree._Element) -> etree._Element:
    copied = copy.deepcopy(node)
    copied.tail = None
    return copied


def _der(chance: random.Random, data: bytes, samples: Sequence[bytes]) -> bytes:
    """Values dropped, doubled, swapped or replaced anywhere in the tree, lengths put right."""
    try:
        return _changed_value(chance, data, MAX_DEPTH)
    except errors.InputError:
        return fuzzing.mutated(chance, [data])


def _changed_value(chance: random.Random, data: bytes, depth: int) -> bytes:
    value = der.read(data)
    parts: list[bytes] = []
    if value.tag & 0x20:
        try:
            parts = [der.encode(one.tag, one.content) for one in value.children()]
        except errors.InputError:
            parts = []
    if parts and depth and chance.random() < 0.85:
        at = chance.randrange(len(parts))
        parts[at] = _changed_value(chance, parts[at], depth - 1)
        return der.encode(value.tag, *parts)
    if not parts:
        tag = chance.choice((value.tag, value.tag, 0x02, 0x04, 0x05, 0x06, 0x17, 0x30, 0xA0))
        return der.encode(tag, fuzzing.mutated(chance, [value.content or b"\0"]))
    at = chance.randrange(len(parts))
    match chance.randrange(4):
        case 0:
            del parts[at]
        case 1:
            parts[at:at] = [parts[at]] * chance.choice((1, 2, 50))
        case 2:
            chance.shuffle(parts)
        case _:
            parts[at] = chance.choice(parts)
    return der.encode(value.tag, *parts)


def _pdf(chance: random.Random, data: bytes, samples: Sequence[bytes]) -> bytes:
    """Names, numbers and references of the structure changed; the length stays."""
    changed = bytearray(data)
    words = [b"/ByteRange", b"/Contents", b"/Prev", b"/Root", b"/Size", b"/Kids", b"/Type", b"/W",
             b"/Length", b"/Filter", b"/Fields", b"/DSS", b"/Parent", b"/Index", b"startxref",
             b"xref", b"trailer", b"obj", b"/V", b"/SubFilter", b"/Annots", b" 0 R"]  # fmt: skip
    for _ in range(chance.randint(1, 4)):
        word = chance.choice(words)
        places = []
        place = changed.find(word)
        while place >= 0 and len(places) < 200:
            places.append(place)
            place = changed.find(word, place + 1)
        if not places:
            continue
        place = chance.choice(places)
        if chance.random() < 0.3:
            changed[place + 1] ^= 1 << chance.randrange(8)
            continue
        for at in range(place + len(word), min(place + len(word) + 24, len(changed))):
            if chr(changed[at]).isdigit() and chance.random() < 0.5:
                changed[at] = ord(chance.choice("0123456789"))
    return bytes(changed)


class _Places(logging.Handler):
    """Hears where a worker met something that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def run(
    samples: Sequence[bytes],
    *,
    minutes: float,
    seed: int,
    threads: int,
    keep: pathlib.Path,
    progress: Callable[[str], None],
    at: datetime.datetime,
) -> Run:
    """Validate mutated documents in so many workers for so long; `keep` gets what failed."""
    found = Run()
    places = _Places()
    logging.getLogger(isolation.__name__).addHandler(places)
    until = time.monotonic() + 60 * minutes
    lock = threading.Lock()
    # One worker to the end: another takes its time to start, and what piles up shall show.
    workers = isolation.ValidationWorkers(threads, judgements_per_worker=sys.maxsize)

    def work(number: int, folder: pathlib.Path) -> None:
        chance = random.Random(seed * 1000 + number)  # noqa: S311 - the same inputs again
        path = folder / f"document-{number}"
        while time.monotonic() < until:
            data = mutated(chance, chance.choice(samples), samples)
            path.write_bytes(data)
            start = time.monotonic()
            try:
                judged = workers.validate(
                    documents.Document("judged", path), trust=trust.TrustAnchors(), at=at,
                    fetch=None,
                )  # fmt: skip
                outcome = f"judged {judged.overall.value}"
                fault = judged.overall is report.Indication.TOTAL_PASSED
            except errors.InputError as error:
                outcome, fault = f"refused {error.code}", error.code in FAULTS
            took = time.monotonic() - start
            name = hashlib.sha256(data).hexdigest()[:16]
            with lock:
                found.documents += 1
                found.outcomes[outcome] += 1
                if took > found.slowest_s:
                    found.slowest_s, found.slowest = took, f"{name}, {len(data)} bytes"
                if fault:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / name).write_bytes(data)
                    where = places.heard[-1] if places.heard else ""
                    found.faults.append(f"FAULT {outcome}: {keep / name} {where}")
                    progress(found.faults[-1])
                if found.documents % 2000 == 0:
                    progress(f"{found.documents} documents, {len(found.faults)} faults")

    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            concurrent.futures.ThreadPoolExecutor(threads) as pool,
        ):
            for one in [pool.submit(work, n, pathlib.Path(folder)) for n in range(threads)]:
                one.result()
    finally:
        workers.close()
        logging.getLogger(isolation.__name__).removeHandler(places)
    return found


def read_samples(folder: pathlib.Path) -> list[bytes]:
    """All signed documents of a folder that are not too large."""
    return [
        one.read_bytes()
        for one in sorted(folder.iterdir())
        if one.is_file() and one.stat().st_size <= MAX_SAMPLE_BYTES
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run for as long as asked and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="signed documents")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=fuzzing.SEED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("fuzzing-faults"))
    chosen = parser.parse_args(arguments)
    samples = read_samples(chosen.folder)
    if not samples:
        parser.error(f"expected signed documents in {chosen.folder}, found none")
    found = run(
        samples,
        minutes=chosen.minutes,
        seed=chosen.seed,
        threads=chosen.workers,
        keep=chosen.keep,
        progress=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
        at=clock.SystemClock().now(),
    )
    print(found)  # noqa: T201
    return 1 if found.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
