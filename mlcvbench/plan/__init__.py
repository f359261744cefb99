"""From the words of a request to its runs, and back to the command that asks for one."""
