"""The written list of the page's figures, in the page's order."""

from capratio.report.figures import (
    capacity,
    efficiency,
    flop_classes,
    latency,
    memory,
    roofline,
    routing,
    scaling_panel,
    warm,
)
from capratio.report.figures.evidence import FigurePlan

FIGURES = (
    FigurePlan(
        "capacity",
        "Capacity ratio",
        "How many more weights does a FLOP buy than in a dense layer, and does that grow as promised, like 2ᵏ/k?",
        "a layer at two or more depths",
        capacity.draw,
    ),
    FigurePlan(
        "flop",
        "FLOP by class",
        "What is a token's work for? The promise is an overhead of k·q for each input unit beside its 2q.",
        "a layer at two or more depths",
        flop_classes.draw,
    ),
    FigurePlan(
        "scaling",
        "Overhead and its law",
        "What does the conditional layer take beyond the dense one, and with which exponent does that grow?",
        "a fitted claim at four or more sizes",
        scaling_panel.draw,
    ),
    FigurePlan(
        "latency",
        "Latency over parameters",
        "What do more weights cost in time? A dense layer pays for each of them; a tree should hardly pay.",
        "a layer at two or more depths",
        latency.draw,
    ),
    FigurePlan(
        "efficiency",
        "Latency over the limit",
        "How far is each layer from what this machine's memory and arithmetic allow? 1 is the limit.",
        "a layer at two or more depths",
        efficiency.draw,
    ),
    FigurePlan(
        "warm",
        "Warm latency and the caches",
        "Where do the leaves stop fitting a cache level, and what does that do to a token's latency?",
        "warm single tokens at two or more depths",
        warm.draw,
    ),
    FigurePlan(
        "memory",
        "Memory",
        "What does the layer hold, and what does one call take on top?",
        "a layer at two or more depths",
        memory.draw,
    ),
    FigurePlan(
        "routing",
        "Routing skew",
        "How many distinct leaves does the input visit, against the number under uniform routing?",
        "a layer at two or more depths",
        routing.draw,
    ),
    FigurePlan(
        "roofline",
        "Roofline",
        "Which ceiling holds each case down: memory, a cache, or arithmetic?",
        "measured cases, or measured ceilings",
        roofline.draw,
    ),
)
