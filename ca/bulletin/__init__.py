"""Statistics as the national bulletin prints them, fees, and usage statements."""
