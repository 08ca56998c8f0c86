"""pyproxy beside Envoy, HAProxy, nginx and Python proxies in one run: ``make bench``.

``subjects`` starts them, each on one core and set up for the same work. ``measure`` puts load on one from the other
core, by wrk, h2load and the clients in ``clients``. ``scenarios`` says which figures are taken of whom; ``run`` takes
them in rounds that alternate between the subjects. ``results`` holds what came out, as JSON; ``budgets``, ``compare``,
``report`` and ``plots`` make something of it that a person can read.
"""
