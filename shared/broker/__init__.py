"""How processes knock on each other's doors: the only place that speaks AMQP.

The broker carries hints. It is asked neither for order, nor for retries, delays or custody of
running work: all of that is the store's. So every failure here has one cure: dial again.
"""
