"""Copies of a module's functions, each broken in one place."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType

# By operator, what it is mistaken for: its neighbour at the limit, or its opposite.
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A function with one thing changed."""

    function: str
    line: int
    change: str  # "`<=` for `<`"
    code: CodeType

    def __str__(self) -> str:
        return f"{self.function}, line {self.line}: {self.change}"

    def apply(self, module: ModuleType) -> None:
        """Put it in the place of the real one, whoever has imported that, for good."""
        function = getattr(module, self.function)
        assert isinstance(function, FunctionType)
        function.__code__ = self.code


def mutants(module: ModuleType) -> Iterator[Mutant]:
    """Break each condition, sum and verdict of a module's functions, one at a time."""
    tree = ast.parse(inspect.getsource(module))
    name = module.__file__ or ""
    for index, function in enumerate(tree.body):
        if not isinstance(function, ast.FunctionDef):
            continue
        for at, node in enumerate(ast.walk(function)):
            for change, breaks in _breaks(node):
                broken = deepcopy(tree)
                breaks(list(ast.walk(broken.body[index]))[at])
                code = compile(ast.fix_missing_locations(broken), name, "exec")
                line = getattr(node, "lineno", function.lineno)
                yield Mutant(function.name, line, change, _code_of(code, function.name))


Break = tuple[str, Callable[[ast.AST], None]]


def _breaks(node: ast.AST) -> Iterator[Break]:
    """Ways to break one node, each as words and what does it to the node's copy."""
    match node:
        case ast.Compare(ops=[op]) if other := COMPARED.get(type(op)):
            yield f"{_named(other)} for {_named(type(op))}", lambda copy: _set(copy, ops=[other()])
        case ast.BoolOp(op=op):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            yield f"{_named(other)} for {_named(type(op))}", lambda copy: _set(copy, op=other())
        case ast.BinOp(op=op) if (other := COUNTED.get(type(op))) and not _of_text(node):
            yield f"{_named(other)} for {_named(type(op))}", lambda copy: _set(copy, op=other())
        case ast.UnaryOp(op=ast.Not()):
            yield "without its not", lambda copy: _set(copy, operand=_negated(copy))
        case ast.If() | ast.IfExp() if not isinstance(node.test, ast.Compare):
            yield "the other way round", lambda copy: _set(copy, test=_negated(copy))
        case ast.Expr(value=ast.Yield()) | ast.Return(value=ast.List(elts=[_, *_])):
            yield "says nothing", lambda copy: _set(copy, value=_nothing(copy))
        case _:
            pass


def _of_text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.JoinedStr) for side in (node.left, node.right))


def _named(operator: type[ast.AST]) -> str:
    return operator.__name__


def _set(node: ast.AST, **fields: object) -> None:
    for name, value in fields.items():
        setattr(node, name, value)


def _negated(node: ast.AST) -> ast.expr:
    assert isinstance(node, ast.If | ast.IfExp | ast.UnaryOp)
    test = node.operand if isinstance(node, ast.UnaryOp) else node.test
    return ast.UnaryOp(ast.Not(), test)


def _nothing(node: ast.AST) -> ast.expr:
    none = ast.List([], ast.Load())
    return none if isinstance(node, ast.Return) else ast.YieldFrom(none)


def _code_of(module: CodeType, name: str) -> CodeType:
    """Of a function, among what a module's code makes functions of."""
    return next(
        const for const in module.co_consts if isinstance(const, CodeType) and const.co_name == name
    )
