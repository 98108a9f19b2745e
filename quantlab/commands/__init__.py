"""One file per command: it parses, builds one dataclass, calls one function, renders."""
