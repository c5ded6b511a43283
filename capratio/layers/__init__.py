"""The layers that are measured: one ``nn.Module`` a file, in every habit like ``nn.Linear``; ``table`` names them."""
