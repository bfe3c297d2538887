"""Compare dlcore with ONNX: `make onnx`. Needs the package onnx.

Every operator that the library has computes the cases that the package generates for it, and further ones whose right
outputs its reference evaluator gives. Exits with 1 on a mismatch. `--golden` writes the cases that the test suite
computes without the package.
"""

import collections
import itertools
import pathlib
import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from tests.onnx import generated, golden
from tests.onnx.case import NODE_TOLERANCE, Case
from tests.onnx.compare import OPERATORS, Result, compare, operators_of

NAMES = {name.split(" ")[0] for name in OPERATORS}


def node_cases() -> list[Case]:
    """The cases of the package, of operators that dlcore has."""
    found = []
    for test in collect_testcases(None):
        node = test.model.graph.node[0]
        if len(test.model.graph.node) > 1 or node.op_type not in NAMES or node.domain:
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        for inputs, outputs in test.data_sets:
            given = aligned(node.input, inputs)
            right = aligned(node.output, outputs)
            found.append(Case(test.name, node.op_type, attributes, given, right, NODE_TOLERANCE))
    return found


def aligned(names, values) -> list:
    """The values at the places of their names; None where a name is empty."""
    rest = iter(values)
    return [np.asarray(next(rest)) if name else None for name in names]


def generated_cases() -> Iterator[Case]:
    """Further cases, with the outputs of the evaluator; those that it does not compute have none."""
    for operator in sorted(NAMES):
        for number, (attributes, inputs) in enumerate(generated.nodes(operator)):
            label = f"random_{operator.lower()}_{number}"
            try:
                right = evaluated_in_groups(operator, attributes, inputs)
            except Exception as error:  # whatever it stumbles over: it covers a part of the standard
                right = None
                print(f"{label}: the evaluator fails: {type(error).__name__}: {error}")
            given = {
                a.name: helper.get_attribute_value(a) for a in helper.make_node("", [], [], **attributes).attribute
            }
            yield Case(label, operator, given, inputs, right)


def evaluated_in_groups(operator: str, attributes: dict, inputs: list) -> list:
    """Right outputs. The evaluator has no groups of transposed convolutions: each is one of its own."""
    groups = attributes.get("group", 1)
    if operator != "ConvTranspose" or groups == 1:
        return evaluated(operator, attributes, inputs)
    x, kernel, bias = inputs
    parts = zip(np.split(x, groups, axis=1), np.split(kernel, groups), np.split(bias, groups), strict=True)
    outputs = [evaluated(operator, attributes | {"group": 1}, list(part))[0] for part in parts]
    return [np.concatenate(outputs, axis=1)]


def evaluated(operator: str, attributes: dict, inputs: list) -> list:
    """Outputs of the evaluator, in float64 where its functions have no constants of float32."""
    wide = np.float32 if operator == "MeanVarianceNormalization" else np.float64
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(generated.num_outputs(operator, attributes))]
    fed = {name: x.astype(wide) if x.dtype == np.float32 else x for name, x in zip(names, inputs, strict=True) if name}
    graph = helper.make_graph([helper.make_node(operator, names, outputs, **attributes)], "case", [], [])
    for name, x in fed.items():
        graph.input.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape))
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())])
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, fed)


def report(results: dict[str, list[Result]]) -> bool:
    """Print what was found; whether all that could be compared agrees, some cases of every operator."""
    print(f"\n{'operator':28}{'compared':>9}{'not expressible':>17}{'largest error':>15}{'mismatches':>12}")
    for name in sorted(results):
        compared = [result for result in results[name] if not result.reason]
        wrong = sum(bool(result.mismatch) for result in compared)
        largest = max((result.error for result in compared), default=0.0)
        print(f"{name:28}{len(compared):9}{len(results[name]) - len(compared):17}{largest:15.1e}{wrong:12}")
    print("\nNot expressible:")
    for name in sorted(results):
        reasons = collections.Counter(result.reason for result in results[name] if result.reason)
        for reason, count in reasons.items():
            print(f"  {name}: {count} x {reason}")
    mismatches = [(name, result) for name in sorted(results) for result in results[name] if result.mismatch]
    print("\nMismatches:" if mismatches else "\nNo mismatches.")
    for name, result in mismatches:
        print(f"  {name}: {result.case}: {result.mismatch}")
    nothing = [name for name in results if all(result.reason for result in results[name])]
    if nothing:
        print(f"Nothing was compared of {', '.join(nothing)}.")
    return not mismatches and not nothing


def main() -> None:
    """Compare everything; exit with 1 on a mismatch."""
    start, results = time.time(), collections.defaultdict(list)
    warnings.simplefilter("ignore")
    cases = node_cases()
    chosen = golden.chosen(cases)
    if "--golden" in sys.argv:
        golden.write(chosen)
        print(f"{len(chosen)} cases in {golden.PATH.relative_to(pathlib.Path.cwd())}")
    for case in itertools.chain(cases, generated_cases()):
        for name, run in operators_of(case.operator).items():
            missing = Result(case.name, reason="the evaluator does not compute it")
            results[name].append(missing if case.outputs is None else compare(case, run))
    agree = report(results)
    print(f"onnx {onnx.__version__}, {sum(map(len, results.values()))} cases, {time.time() - start:.0f} s")
    sys.exit(not agree)


if __name__ == "__main__":
    main()
