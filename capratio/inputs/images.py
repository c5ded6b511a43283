"""Rows of real images: the 8 x 8 handwritten digits that scikit-learn carries."""

import functools

import torch

from capratio.errors import InputError
from capratio.inputs.corpus import Corpus, corpus_of
from capratio.inputs.stream import random_stream

# Pixels of a digit, 8 x 8.
IMAGE_FEATURES = 64


@functools.cache
def images_corpus() -> Corpus:
    """The pixels of all digits, image after image, read once a process.

    Raises InputError where scikit-learn is not installed.
    Source: scikit-learn's ``load_digits``, the test half of UCI's optical recognition of handwritten digits.
    """
    try:
        # An extra, and slow to import: only this input needs it.
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            "the input 'images' needs scikit-learn, which is not installed; run pip install 'capratio[images]'."
        ) from error
    # Pixels are whole numbers from 0 to 16.
    return corpus_of("images", load_digits().data.astype("uint8").tobytes())


def images_rows(tokens: int, features: int, seed: int) -> torch.Tensor:
    """Whole digits where features = 64, else windows of the digits laid end to end, float64 (tokens, features).

    Raises InputError where scikit-learn is not installed or the digits are shorter than a window.
    """
    corpus = images_corpus()
    generator = random_stream("images", seed)
    if features != IMAGE_FEATURES:
        return corpus.random_windows(tokens, features, generator)
    image = torch.randint(len(corpus.data) // IMAGE_FEATURES, (tokens,), generator=generator)
    return corpus.windows(image * IMAGE_FEATURES, IMAGE_FEATURES)
