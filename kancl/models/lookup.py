"""Tile coding: a table over a joint grid of the inputs, local in every dimension it can afford (Albus 1971, CMAC).

Where each point reads is a pure function of the point (:func:`tile_coordinates`, :func:`corners`, :func:`hash_keys`); the
module holds the table.
"""

import hashlib
import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem, stacked, uniform
from kancl.models.edge_basis import input_range
from kancl.models.registry import architectures

MAX_NUMBERS = 2**20
"""Numbers that one seed's table may hold; Adam keeps three of each, for every seed."""
MAX_CORNERS = 1024
"""Entries that interpolation may read per tiling and point; 2^I of them surround a point."""


@architectures.register("lookup")
def lookup(
    problem: Problem,
    *,
    tiles: int = 8,
    tilings: int = 1,
    interpolation: Literal["none", "linear"] = "none",
    hashed: int | None = None,
    noise: float = 0.1,
    range: tuple[float, float] | None = None,
) -> Network:
    """Tile coding: a table over a joint grid of all inputs; a sample touches its own tiles and nothing else.

    Points beyond the range belong to the outermost tiles: a table has no other answer for them, and 0 would be a step.

    Args:
        tiles: n per input, so n^I of them in each tiling.
        tilings: T tables whose grids are displaced against each other, their sum being the output; finer in resolution than
            one, at the price of T tiles that move together (Sutton and Barto 2018, section 9.5.4).
        interpolation: ``none`` is constant on each tile: two samples in different tiles never share a number, whatever the
            number of inputs. ``linear`` makes the n entries per input the corners of n - 1 cells, the outermost at the ends
            of the range, and interpolates between the 2^I around a point: continuous, but neighbours share some.
        hashed: rows of one table that all tiles of all tilings share by a fixed hash, for grids that are too large; tiles
            that fall on one row are no longer independent.
        noise: size of the initial numbers, (u - 1/2) * noise / (n T).
        range: of every input; the scenario's input range if not given.
    """
    least = 2 if interpolation == "linear" else 1
    if tiles < least or tilings < 1 or noise < 0 or (hashed is not None and hashed < 1):
        given = f"got {tiles=}, {tilings=}, {noise=}, {hashed=}"
        raise InputError(f"needs tiles >= {least}, tilings >= 1, noise >= 0 and hashed >= 1 or none, {given}")
    if interpolation == "linear" and 2**problem.inputs > MAX_CORNERS:
        raise InputError(
            f"linear interpolation reads 2^{problem.inputs} entries per point for {problem.inputs} inputs, more than "
            f"{MAX_CORNERS}; take interpolation=none"
        )
    low, high = input_range(problem, problem.inputs, range)
    rows = hashed or tilings * tiles**problem.inputs
    if rows * problem.outputs > MAX_NUMBERS:
        raise InputError(_too_large(problem, tiles, tilings, hashed))
    draw = uniform(rows, problem.outputs, bound=noise / (2 * tiles * tilings), dtype=problem.dtype)
    table = stacked(problem.generators(), draw)
    return Lookup(table, low, high, tiles=tiles, tilings=tilings, linear=interpolation == "linear", hashed=hashed)


def _too_large(problem: Problem, tiles: int, tilings: int, hashed: int | None) -> str:
    limit = f"more than the {MAX_NUMBERS:,} of the largest table"
    if hashed is not None:
        return f"a table of {hashed:,} rows and {problem.outputs} outputs holds {hashed * problem.outputs:,} numbers, {limit}"
    digits = problem.inputs * math.log10(tiles) + math.log10(tilings * problem.outputs)
    shown = f"{tilings * tiles**problem.inputs * problem.outputs:,}" if digits < 12 else f"about 1e{digits:.0f}"
    return (
        f"a joint grid of {tiles} tiles for each of {problem.inputs} inputs holds {tilings} x {tiles}^{problem.inputs} tiles x "
        f"{problem.outputs} outputs = {shown} numbers, {limit}; take fewer tiles, or hash them into a smaller table, "
        f"e.g. hashed={max(1, min(4096, MAX_NUMBERS // problem.outputs))}"
    )


class Lookup(Network):
    """S tables; see :func:`lookup`.

    y_o = sum over tilings t and the entries e that a point reads of weight_te * table[row_te, o]. NaN in x gives NaN.
    """

    def __init__(
        self,
        table: nn.Parameter,
        low: Float[Tensor, "S I"],
        high: Float[Tensor, "S I"],
        *,
        tiles: int,
        tilings: int,
        linear: bool,
        hashed: int | None,
    ) -> None:
        super().__init__()
        self.tiles, self.tilings, self.linear, self.hashed = tiles, tilings, linear, hashed
        self.table = table
        seeds, inputs = low.shape
        # What a step along the tilings and along every input adds to the number of a row: places in the joint grid, or keys.
        places = [tiles**power for power in reversed(range(1 + inputs))] if hashed is None else None
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.register_buffer("strides", torch.tensor(places or hash_keys(1 + inputs)).repeat(seeds, 1))
        self.low: Tensor
        self.high: Tensor
        self.strides: Tensor

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate table s at batch s."""
        rows, weights = self.entries(x)
        seeds, size = self.table.shape[:2]
        first = size * torch.arange(seeds, device=x.device)[:, None, None]
        read = functional.embedding(rows.flatten(2) + first, self.table.flatten(0, 1))  # (S, B, T P, O)
        y = read.sum(2) if weights is None else torch.linalg.vecdot(read.mT, weights.flatten(2)[..., None, :])
        return y.masked_fill(x.isnan().any(-1, keepdim=True), torch.nan)

    def active_parameters(self) -> int:
        """Return how many trained numbers bear on one sample: the entries that it reads, in each tiling, for each output."""
        corners = 2 ** self.low.shape[1] if self.linear else 1
        rows, outputs = self.table.shape[1:]
        return min(self.tilings * corners, rows) * outputs if self.table.requires_grad else 0

    used_parameter = "table"

    def usage(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B 1 R"]:
        """Return the weight of each row of the table at each point; see kancl.locality."""
        rows, weights = self.entries(x)
        rows = rows.flatten(2)
        given = x.new_ones(rows.shape) if weights is None else weights.flatten(2)
        return x.new_zeros(*rows.shape[:2], self.table.shape[1]).scatter_add(2, rows, given)[:, :, None]

    def off_grid(self, x: Float[Tensor, "S B I"]) -> Bool[Tensor, "S B I"]:
        """Tell which inputs lie beyond the range of the tiles."""
        return (x < self.low[:, None]) | (x > self.high[:, None])

    def entries(self, x: Float[Tensor, "S B I"]) -> tuple[Int[Tensor, "S B T P"], Float[Tensor, "S B T P"] | None]:
        """Return the rows of the table that each point reads, P in each tiling, and their weights; None if they are all 1."""
        position = tile_coordinates(x, self.low, self.high, self.tiles, self.tilings, self.linear)
        if self.linear:
            tile, weights = corners(position, self.tiles)
        else:
            tile, weights = position.floor().clamp(0, self.tiles - 1).long()[..., None, :], None
        tiling = torch.arange(self.tilings, device=x.device)[:, None]
        sums = (tile * self.strides[:, None, None, None, 1:]).sum(-1) + tiling * self.strides[:, None, None, :1]
        # Whole numbers wrap around at 2^64, which is the modulus wanted; of the sum the upper half is the hash.
        return (sums if self.hashed is None else (sums >> 32 & 0xFFFFFFFF) % self.hashed), weights


def tile_coordinates(
    x: Float[Tensor, "S B I"], low: Float[Tensor, "S I"], high: Float[Tensor, "S I"], tiles: int, tilings: int, linear: bool
) -> Float[Tensor, "S B T I"]:
    """Return the position of each point in each tiling, in tiles, counted from the lower end of that tiling.

    Tiling t is displaced along input i by ((2 i + 1) t mod T) / T of a tile (Sutton and Barto 2018, section 9.5.4: odd
    numbers, so that the corners of the tilings do not line up), and every tiling covers the range: tiles are
    (high - low) / (n - 1 + 1/T) wide, or, where the n entries are corners with n - 1 gaps, (high - low) / (n - 2 + 1/T).
    NaN counts as the lower end.
    """
    gaps = tiles - 1 if linear else tiles
    inputs = torch.arange(x.shape[-1], device=x.device)
    shift = ((2 * inputs + 1) * torch.arange(tilings, device=x.device)[:, None] % tilings).to(x.dtype) / tilings  # (T, I)
    place = ((x - low[:, None]) / (high - low)[:, None]).nan_to_num(0.0)
    return place[:, :, None] * (gaps - 1 + 1 / tilings) + shift


def corners(position: Float[Tensor, "S B T I"], count: int) -> tuple[Int[Tensor, "S B T P I"], Float[Tensor, "S B T P"]]:
    """Return the P = 2^I corners around each position on a grid of ``count`` corners per input, and their weights.

    Multilinear interpolation: the weight of a corner is the product over the inputs of 1 - distance. Positions beyond the
    grid get the value at its edge.
    """
    held = position.clamp(0, count - 1)
    first = held.detach().floor().clamp(max=count - 2)
    far = (held - first)[..., None, :]  # (S, B, T, 1, I)
    inputs = torch.arange(position.shape[-1], device=position.device)
    ends = torch.arange(2 ** len(inputs), device=position.device)[:, None] >> inputs & 1  # (P, I): which end, bit by bit
    weights = torch.where(ends == 1, far, 1 - far).prod(-1)
    return first.long()[..., None, :] + ends, weights


def hash_keys(count: int) -> list[int]:
    """Return fixed 64-bit numbers, as signed integers, for multilinear hashing of a tile's coordinates.

    row = (upper 32 bits of sum_i key_i c_i mod 2^64) mod rows (Lemire and Kaser 2014, "Strongly universal string hashing is
    fast", with 0 for the constant). The keys are the BLAKE2b digests of "tile 0", "tile 1" and so on: the same for every seed,
    run and machine.
    """
    digests = (hashlib.blake2b(f"tile {number}".encode(), digest_size=8).digest() for number in range(count))
    return [int.from_bytes(digest, "little", signed=True) for digest in digests]
