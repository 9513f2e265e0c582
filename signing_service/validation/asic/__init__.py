"""ASiC containers of strangers (EN 319 162-1)."""
