"""The local stack: a private PostgreSQL, a private RabbitMQ node and both services, no Docker.

``bootstrap`` is the way in (``make run``); ``stack.open_stack`` serves tests and benchmarks.
"""
