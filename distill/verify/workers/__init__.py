"""Libraries that decide what our own code cannot; they run in jails.

pending        a check that waits for a library's reply
reasoning_gym  which answers a scorer of reasoning_gym may see
harmless       which questions cannot be programs, and may share a process
services       the libraries, and what their jails hold
asked          puts questions to them
threads        threads that hold the jails
inside         what runs in a jail
"""
