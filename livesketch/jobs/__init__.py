"""Many drawings into files, by one process, several, or many machines; stopped and resumed."""
