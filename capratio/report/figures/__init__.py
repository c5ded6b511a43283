"""One file a figure: each says which rows it shows (``select``) and how they are drawn (``draw``)."""
