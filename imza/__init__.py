"""What is started: the command line, the servers, the sandbox and the wiring."""
