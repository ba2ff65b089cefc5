"""The private runtime: real Asterisk, PostgreSQL and Mosquitto in a private root, kept running.

`service.runtime.private.PrivateRuntime` is the way in; `python -m service.runtime` the command.
"""
