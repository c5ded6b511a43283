"""What a layer reads: seeded inputs of three origins, and routings that can be imposed on their signs; rows in float64.

``table`` names the inputs, ``gaussian``, ``text`` and ``images`` make them, ``corpus`` cuts rows out of real data,
``routing`` sets which leaves the tokens reach, ``stream`` gives each use of a seed its own random numbers.
"""
