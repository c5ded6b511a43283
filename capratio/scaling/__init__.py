"""Does it obey its law? Records in, verdicts out; imports no torch.

``judge`` holds records against the written table of ``claims``; ``margins`` has every chosen number with its reason;
``lines`` and ``pairing`` turn records into points, ``bootstrap``, ``power_law``, ``flat`` and ``breaks`` into fits.
"""
