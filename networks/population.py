"""A population of weight agnostic networks as one shared graph: what many networks compute is computed once.

The networks of a population descend from one another, so most of their neurons compute the same thing. `share` finds
them, from the inputs upwards: a neuron is given by its activation and the multiset of its sources. Each distinct one is
then evaluated once, for all weights on one block of examples after the other, which stays in the cache; every network's
outputs are read off.

Sharing never changes a bit of a network's result. Its sums run in an order that its own structure decides, by hashes of
the sources; a block has a fixed length, and each is summed in a fixed way. So it matters neither which other networks
are there, nor how their neurons and connections are numbered, nor how many threads work on the blocks.

Neurons are 64-bit: in 32 bits one random network in two hundred differs visibly from `networks.reference`, because a
step or the sine of a large number hangs on the last bits of a sum. The cross-entropy, where nothing does, is 32-bit.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolution.genome import ACTIVATION_NAMES, Genome
from networks.compiled import SUM, WEIGHT, ZERO, activate, add_to_sum, flatten, set_sum
from networks.functions import exp_32, log_32
from networks.jit import inlined, kernel

BLOCK = 64  # examples side by side; results depend on it
CHUNK = 64  # blocks that are read at once, which bounds the memory for large batches; results do not depend on it

Indices = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]
SmallIndices = npt.NDArray[np.int32]


class SharedGraph(NamedTuple):
    """The distinct neurons of N networks that reach an output, in topological order, inputs apart.

    A neuron is a sum and an activation. A sum adds a set of inputs, which is added up once for all weights and all sums
    that contain it, and other neurons. There are S sums; the D neurons are numbered by their sums.
    """

    num_inputs: int  # the bias included
    use_bias: bool
    num_unshared: int  # neurons of all networks that reach an output
    input_start: Indices  # (sets of inputs + 1,) where each set's inputs begin
    inputs: SmallIndices
    input_set: SmallIndices  # (S,) the set of each sum
    source_start: Indices  # (S + 1,) where each sum's other sources begin
    sources: SmallIndices  # a neuron stands here twice where two of a network's neurons turned out to be one
    neuron_start: Indices  # (S + 1,) where each sum's neurons begin
    activations: npt.NDArray[np.int8]  # (D,)
    outputs: SmallIndices  # (N, O) each network's output neurons

    @property
    def num_neurons(self) -> int:
        """Distinct neurons, D."""
        return len(self.activations)


# ---- calls --------------------------------------------------------------------------------------------------------


def share(genomes: Sequence[Genome]) -> SharedGraph:
    """The shared graph of N networks.

    Raises ValueError unless all have the same numbers of inputs and outputs, and all or none a bias.
    """
    flat = flatten(genomes)
    start, members, node_hash, neuron_of, outputs = _share(
        len(ACTIVATION_NAMES),
        flat.num_inputs,
        flat.num_outputs,
        flat.neuron_start,
        flat.activations,
        flat.connection_start,
        flat.sources,
    )
    # Each sum's members in the order of their hashes, inputs and neurons apart.
    sum_of = np.repeat(np.arange(len(neuron_of)), np.diff(start))
    order = np.lexsort((node_hash[members], sum_of))
    members, sum_of = members[order], sum_of[order]
    is_input = members < flat.num_inputs
    input_start, source_start = (
        np.concatenate([[0], np.bincount(sum_of[chosen], minlength=len(neuron_of)).cumsum()])
        for chosen in (is_input, ~is_input)
    )
    input_start, inputs, input_set = _input_sets(input_start, members[is_input], node_hash[: flat.num_inputs])
    # Number the neurons by their sums.
    exists = neuron_of >= 0
    activations = np.nonzero(exists)[1].astype(np.int8)
    number = np.empty(len(activations), np.int32)
    number[neuron_of[exists]] = np.arange(len(activations))
    return SharedGraph(
        flat.num_inputs,
        flat.use_bias,
        len(flat.activations),
        input_start,
        inputs,
        input_set,
        source_start,
        number[members[~is_input] - flat.num_inputs],
        np.concatenate([[0], exists.sum(axis=1).cumsum()]),
        activations,
        number[outputs],
    )


def forward(genomes: Sequence[Genome], inputs: npt.ArrayLike, weights: npt.ArrayLike) -> Array:
    """Outputs (N, W, B, O) for inputs (B, I) and W shared weights (W,).

    The same as `networks.reference.forward` within rounding. Raises ValueError for arrays of another shape, and
    as `share`.
    """
    graph = share(genomes)
    inputs, weights = _checked(graph, inputs, weights)
    num_networks, num_outputs = graph.outputs.shape
    outputs = np.empty((num_networks, len(weights), len(inputs), num_outputs))
    for start in range(0, len(inputs), CHUNK * BLOCK):
        chunk = _lanes(graph, inputs[start : start + CHUNK * BLOCK])
        _outputs(graph, chunk, weights, outputs[:, :, start : start + CHUNK * BLOCK])
    return outputs


def losses(
    genomes: Sequence[Genome],
    inputs: npt.ArrayLike,
    labels: npt.ArrayLike,
    weights: npt.ArrayLike,
    num_threads: int = 1,
) -> tuple[Array, Array]:
    """Mean cross-entropy of the outputs as logits (N, W), and accuracy (N, W), for W shared weights.

    `inputs` (B, I) with B > 0, `labels` (B,) integers in 0..O-1. Outputs are held for one block of examples only. Where
    an output is not finite, neither is the network's loss. An example counts as right where its label is the first
    largest output, or the first NaN. Raises ValueError for other arrays, and as `share`.
    """
    graph = share(genomes)
    inputs, weights = _checked(graph, inputs, weights)
    num_outputs = graph.outputs.shape[1]
    labels = np.asarray(labels)
    if labels.shape != (len(inputs),) or not len(labels) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels {labels.dtype} of shape {labels.shape} for {len(inputs)} inputs, at least 1")
    if labels.min() < 0 or labels.max() >= num_outputs:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}; the networks have {num_outputs} outputs")

    # Networks that share all outputs share the cross-entropy; those that share the first outputs share its beginning.
    neurons, outputs = np.unique(graph.outputs, return_inverse=True)
    sets, set_of = np.unique(outputs.reshape(graph.outputs.shape).astype(np.uint32), axis=0, return_inverse=True)
    totals = np.zeros((2, len(sets), len(weights)))
    with ThreadPoolExecutor(num_threads) as threads:
        for start in range(0, len(inputs), CHUNK * BLOCK):
            chunk = _lanes(graph, inputs[start : start + CHUNK * BLOCK])
            chunk_labels = labels[start : start + CHUNK * BLOCK].astype(np.uint32)
            num_blocks = chunk.shape[1] // BLOCK
            sums = np.empty((num_blocks, *totals.shape))
            ends = [num_blocks * i // num_threads for i in range(num_threads + 1)]
            parts = [
                threads.submit(_losses, graph, neurons, sets, chunk, chunk_labels, weights, first, last, sums)
                for first, last in pairwise(ends)
                if first < last
            ]
            for part in parts:
                part.result()
            for block in sums:  # one after the other: numpy would add them in an order that depends on the shape
                totals += block
    loss, accuracy = (totals / len(inputs))[:, set_of.reshape(-1)]
    return loss, accuracy


def _checked(graph: SharedGraph, inputs: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[npt.NDArray[Any], Array]:
    inputs, weights = np.asarray(inputs), np.asarray(weights, np.float64)
    num_observed = graph.num_inputs - graph.use_bias
    if inputs.ndim != 2 or inputs.shape[1] != num_observed:
        raise ValueError(f"inputs of shape {inputs.shape}; these networks take (B, {num_observed})")
    if weights.ndim != 1:
        raise ValueError(f"weights of shape {weights.shape}; (W,) is needed")
    return inputs, weights


def _lanes(graph: SharedGraph, inputs: npt.NDArray[Any]) -> Array:
    """Inputs (B, observed) as rows of examples, filled up to whole blocks: (I, blocks * BLOCK); the bias is 1."""
    lanes = np.ones((graph.num_inputs, -(-len(inputs) // BLOCK) * BLOCK))
    lanes[: inputs.shape[1], : len(inputs)] = inputs.T
    return lanes


# ---- finding equal neurons ----------------------------------------------------------------------------------------


class _Bags(NamedTuple):
    """Distinct multisets of numbers found so far, by a hash table."""

    slots: Any  # (power of two,) the index of a bag, or -1
    size: Any  # (1,)
    hashes: Any  # (capacity,)
    start: Any  # (capacity + 1,) where each bag's members begin
    members: Any


GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


@kernel
def _mixed(x):
    """A 64-bit number with all its bits mixed up (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def _new_bags(capacity, num_members):
    num_slots = 2
    while num_slots < 2 * capacity:
        num_slots *= 2
    return _Bags(
        np.full(num_slots, -1, np.int32),
        np.zeros(1, np.int64),
        np.empty(capacity, np.uint64),
        np.zeros(capacity + 1, np.int64),
        np.empty(num_members, np.int32),
    )


@kernel
def _index(bags, bag, length, bag_hash, seen):
    """Index of bag[:length], which is appended if it is new; `seen` is all 0, before and after."""
    last = len(bags.slots) - 1
    slot = np.int64(bag_hash & np.uint64(last))
    while bags.slots[slot] >= 0:
        b = bags.slots[slot]
        if bags.hashes[b] == bag_hash and _is_bag(bags, b, bag, length, seen):
            return b
        slot = (slot + 1) & last
    b = bags.size[0]
    bags.size[0] += 1
    bags.slots[slot], bags.hashes[b] = b, bag_hash
    bags.start[b + 1] = bags.start[b] + length
    for i in range(length):
        bags.members[bags.start[b] + i] = bag[i]
    return b


@kernel
def _is_bag(bags, b, bag, length, seen):
    """Whether bag b holds the same numbers equally often as bag[:length]."""
    start = bags.start[b]
    if bags.start[b + 1] - start != length:
        return False
    equal = 0
    for i in range(length):
        equal += bags.members[start + i] == bag[i]
    if equal == length:  # relatives have their connections in the same order
        return True
    for i in range(length):
        seen[bag[i]] += 1
        seen[bags.members[start + i]] -= 1
    different = 0
    for i in range(length):
        different += seen[bag[i]] != 0
    for i in range(length):
        seen[bag[i]] = seen[bags.members[start + i]] = 0
    return different == 0


@kernel
def _share(num_activations, num_inputs, num_outputs, neuron_start, activations, connection_start, sources):
    """Distinct sums of inputs and neurons, the neuron for each sum and activation (S, A) or -1, and outputs (N, O).

    Nodes are first the inputs, then the neurons as they are found. A node's hash depends on nothing but what it
    computes, and only finds slots and orders sources: whether two sums are the same is decided by comparing.
    """
    capacity = len(activations)
    sums = _new_bags(capacity, len(sources))
    neuron_of = np.full((capacity, num_activations), -1, np.int32)
    node_hash = np.empty(num_inputs + capacity, np.uint64)
    for i in range(num_inputs):
        node_hash[i] = _mixed(np.uint64(i + 1) * GOLDEN)
    seen = np.zeros(num_inputs + capacity, np.int32)
    nodes = np.arange(num_inputs + capacity).astype(np.int32)  # of a network's inputs and neurons
    bag = np.empty(num_inputs + capacity, np.int32)
    outputs = np.empty((len(neuron_start) - 1, num_outputs), np.int32)
    num_neurons = 0
    for network in range(len(neuron_start) - 1):
        first, end = neuron_start[network], neuron_start[network + 1]
        for j in range(first, end):
            begin, length = connection_start[j], connection_start[j + 1] - connection_start[j]
            bag_hash = np.uint64(0)  # a sum, since the order of sources must not matter
            for i in range(length):
                bag[i] = nodes[sources[begin + i]]
                bag_hash += node_hash[bag[i]]
            bag_hash = _mixed(bag_hash)
            s = _index(sums, bag, length, bag_hash, seen)
            activation = activations[j]
            if neuron_of[s, activation] < 0:
                neuron_of[s, activation] = num_neurons
                node_hash[num_inputs + num_neurons] = _mixed(bag_hash + np.uint64(activation + 1) * GOLDEN)
                num_neurons += 1
            nodes[num_inputs + j - first] = num_inputs + neuron_of[s, activation]
        for o in range(num_outputs):
            outputs[network, o] = nodes[num_inputs + end - first - num_outputs + o] - num_inputs
    num_sums = sums.size[0]
    return sums.start[: num_sums + 1], sums.members[: sums.start[num_sums]], node_hash, neuron_of[:num_sums], outputs


@kernel
def _input_sets(start, inputs, input_hash):
    """The distinct sets of inputs[start[s] : start[s + 1]] as starts and inputs, and which of them each is (S,)."""
    sets = _new_bags(len(start) - 1, len(inputs))
    set_of = np.empty(len(start) - 1, np.int32)
    seen = np.zeros(len(input_hash), np.int32)
    for s in range(len(set_of)):
        begin, length = start[s], start[s + 1] - start[s]
        set_hash = np.uint64(0)
        for i in range(length):
            set_hash += input_hash[inputs[begin + i]]
        set_of[s] = _index(sets, inputs[begin : begin + length], length, _mixed(set_hash), seen)
    num_sets = sets.size[0]
    return sets.start[: num_sets + 1], sets.members[: sets.start[num_sets]], set_of


# ---- evaluating a block of examples -------------------------------------------------------------------------------

FIRST_SET = WEIGHT + 1  # after the rows of `networks.compiled`: the sums of the input sets, then the neurons


@kernel
def _first_neuron(graph):
    return FIRST_SET + len(graph.input_start) - 1


@kernel
def _new_values(graph):
    """Working memory (rows, BLOCK) for a block."""
    values = np.empty((_first_neuron(graph) + len(graph.activations), BLOCK))
    for i in range(BLOCK):
        values[ZERO, i] = 0.0
    return values


@kernel
def _add_inputs(graph, inputs, first, values):
    """The sums of the input sets for the examples from column `first` on."""
    for s in range(len(graph.input_start) - 1):
        row = FIRST_SET + s
        for i in range(BLOCK):
            values[row, i] = 0.0
        for c in range(graph.input_start[s], graph.input_start[s + 1]):
            source = graph.inputs[c]
            for i in range(BLOCK):
                values[row, i] += inputs[source, first + i]


@kernel
def _evaluate(graph, weight, values):
    """The values of all neurons with one shared weight."""
    for i in range(BLOCK):
        values[WEIGHT, i] = weight
    first_neuron = _first_neuron(graph)
    for s in range(len(graph.input_set)):
        a, b = FIRST_SET + graph.input_set[s], ZERO  # the sum is that of these two rows
        c, last = graph.source_start[s], graph.source_start[s + 1] - 1
        if c <= last:
            b = first_neuron + graph.sources[last]
        if c < last:
            set_sum(values, a, first_neuron + graph.sources[c], BLOCK)
            a = SUM
            c += 1
        while c + 4 <= last:
            _add_four(values, graph.sources, first_neuron, c)
            c += 4
        while c < last:
            add_to_sum(values, first_neuron + graph.sources[c], BLOCK)
            c += 1
        for neuron in range(graph.neuron_start[s], graph.neuron_start[s + 1]):
            activate(graph.activations[neuron], values, WEIGHT, a, b, first_neuron + neuron, BLOCK)


@inlined
def _add_four(values, sources, first_neuron, c):
    """One after the other too, but the sum is read and written once."""
    p, q = first_neuron + sources[c], first_neuron + sources[c + 1]
    r, s = first_neuron + sources[c + 2], first_neuron + sources[c + 3]
    for i in range(BLOCK):
        values[SUM, i] = values[SUM, i] + values[p, i] + values[q, i] + values[r, i] + values[s, i]


@kernel
def _outputs(graph, inputs, weights, outputs):
    """Fill outputs (N, W, B, O)."""
    num_examples = outputs.shape[2]
    values, first_neuron = _new_values(graph), _first_neuron(graph)
    for first in range(0, num_examples, BLOCK):
        last = min(first + BLOCK, num_examples)
        _add_inputs(graph, inputs, first, values)
        for w in range(len(weights)):
            _evaluate(graph, weights[w], values)
            for network in range(len(graph.outputs)):
                for o in range(graph.outputs.shape[1]):
                    neuron = first_neuron + graph.outputs[network, o]
                    for b in range(first, last):
                        outputs[network, w, b, o] = values[neuron, b - first]


# ---- cross-entropy, in 32 bits ------------------------------------------------------------------------------------

# In a kernel 32-bit numbers stay 32-bit only among themselves.
NONE, INFINITY, NAN = (np.float32(x) for x in (0, np.inf, np.nan))
MAX_LOGIT = np.float32(80)  # up to here, with either sign, exp is a 32-bit number that has not lost a bit


@kernel
def _losses(graph, neurons, sets, inputs, labels, weights, first_block, last_block, sums):
    """Fill `sums` (blocks, 2, K, W): the losses' and the number of right classes, for K distinct sets of outputs.

    `sets` (K, O) are indices into `neurons` (U,), the distinct output neurons.
    """
    values, first_neuron = _new_values(graph), _first_neuron(graph)
    logits, exps = np.empty((len(neurons), BLOCK), np.float32), np.empty((len(neurons), BLOCK), np.float32)
    label = np.zeros(BLOCK, np.uint32)
    for block in range(first_block, last_block):
        first = block * BLOCK
        count = min(BLOCK, len(labels) - first)
        for i in range(count):
            label[i] = labels[first + i]
        _add_inputs(graph, inputs, first, values)
        for w in range(len(weights)):
            _evaluate(graph, weights[w], values)
            for u in range(len(neurons)):
                _set_logits(values, first_neuron + neurons[u], logits, exps, u)
            _cross_entropy(logits, exps, sets, label, count, sums[block, 0, :, w], sums[block, 1, :, w])


@inlined
def _set_logits(values, row, logits, exps, u):
    """Row u of logits and exps; exp is NaN where the logit is too large for `_cross_entropy` to use it."""
    for i in range(BLOCK):
        x = np.float32(values[row, i])
        exp = exp_32(x)
        logits[u, i] = x
        exps[u, i] = exp if abs(x) <= MAX_LOGIT else NAN


@kernel
def _cross_entropy(logits, exps, sets, label, count, losses, hits):
    """Fill losses (K,) and hits (K,), sums over the first `count` examples.

    The loss of an example is log(sum exp x / exp x_label): so the exponentials serve all networks, and nothing cancels.
    Where one of the network's own logits is too large for that, `_add_stable_losses` steps in.
    """
    num_outputs = sets.shape[1]
    running = np.empty((num_outputs, 3, BLOCK), np.float32)
    at_label, example = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    label_32 = label.astype(np.float32)
    for k in range(len(sets)):
        same = 0
        if k > 0:
            while sets[k, same] == sets[k - 1, same]:
                same += 1
        for o in range(same, num_outputs):
            _add_output(logits, exps, sets[k, o], o, running)
        for i in range(BLOCK):
            at_label[i] = exps[sets[k, label[i]], i]
        for i in range(BLOCK):
            ratio = running[-1, TOTAL, i] / at_label[i]
            loss = log_32(ratio)
            example[i] = loss if ratio < INFINITY else NAN
        losses[k] = _sum(example, count)
        if not losses[k] < np.inf:
            _add_stable_losses(logits, sets[k], label, running[-1, LARGEST], example)
            losses[k] = _sum(example, count)
        num_hits = 0
        for i in range(count):
            num_hits += running[-1, WHICH, i] == label_32[i]
        hits[k] = num_hits


TOTAL, LARGEST, WHICH = range(3)  # what runs over a network's outputs: the sum of exp, the largest logit, its index


@inlined
def _add_output(logits, exps, u, o, running):
    """Row o of `running`, which is over outputs 0..o, from the row before and output o, which is row u."""
    if o == 0:
        for i in range(BLOCK):
            running[0, TOTAL, i] = exps[u, i]
            running[0, LARGEST, i] = logits[u, i]
            running[0, WHICH, i] = NONE
    else:
        index = np.float32(o)
        for i in range(BLOCK):
            x, before = logits[u, i], running[o - 1, LARGEST, i]
            larger = (not x <= before) & (before == before)  # the first NaN is the largest, as in numpy.argmax
            running[o, TOTAL, i] = running[o - 1, TOTAL, i] + exps[u, i]
            running[o, LARGEST, i] = x if larger else before
            running[o, WHICH, i] = index if larger else running[o - 1, WHICH, i]


@kernel
def _add_stable_losses(logits, outputs, label, largest, example):
    """The loss log(sum exp(x - max)) + max - x_label of those examples that have none yet."""
    total = np.zeros(BLOCK, np.float32)
    for u in outputs:
        for i in range(BLOCK):
            below = logits[u, i] - largest[i]
            total[i] += exp_32(-MAX_LOGIT if below < -MAX_LOGIT else below)  # NaN stays
    for i in range(BLOCK):
        if np.isnan(example[i]):
            example[i] = log_32(total[i]) + (largest[i] - logits[outputs[label[i]], i])


@kernel
def _sum(example, count):
    """The 64-bit sum of the first `count` numbers, halves added to halves."""
    row = np.zeros(BLOCK)
    for i in range(count):
        row[i] = example[i]
    half = BLOCK // 2
    while half >= 4:
        for i in range(half):
            row[i] += row[half + i]
        half //= 2
    return (row[0] + row[1]) + (row[2] + row[3])
