"""Tell clients how their jobs go on, without ever waiting for one of them.

News from the fan-out say only *that* something was stored; what is shown is read from the store.
"""
