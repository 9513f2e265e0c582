"""Key ceremonies: a script is played before witnesses, and its transcript can be checked later."""
