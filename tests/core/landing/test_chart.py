"""What charts, covers and verdicts say of single functions, without an exception being raised."""

from __future__ import annotations

import logging
import threading
from types import CodeType, SimpleNamespace

import pytest

from pastepool.core.landing import verdict
from pastepool.core.landing.chart import chart, chart_of
from pastepool.core.landing.cover import cover_of, from_blocks
from pastepool.core.landing.finals import runs_the_same_finally
from pastepool.core.landing.grade import Grade
from pastepool.core.landing.handlers import Handler, body_of, kind_of
from pastepool.core.landing.listing import Instruction, _steps, listing
from pastepool.core.landing.standard_library import is_spared
from pastepool.core.landing.verdict import raised_before, raised_in_call, raised_in_callee, raised_on_return
from pastepool.core.ownership import calls_application, is_application_boundary, is_task_boundary, runs_tasks
from tests.core.landing.shapes import SHAPES


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_has_safe_and_dangerous_instructions(name: str) -> None:
    """A chart that calls all of them safe, or none, would be of no use."""
    own = SHAPES[name].__code__
    codes = [own, *(constant for constant in own.co_consts if isinstance(constant, CodeType))]
    charts = [chart_of(code) for code in codes]
    assert {bool(grade) for made in charts for grade in made.before} == {True, False}
    assert not all(grade for made in charts for grade in made.inside)
    assert any(grade for made in charts for grade in made.returning)


WITH_OF_3_10 = (
    Instruction(0, "LOAD_FAST", "lock", None, (1,)),
    Instruction(2, "SETUP_WITH", 11, 22, (1,)),
    Instruction(4, "POP_TOP", None, None, (1,)),
    Instruction(6, "LOAD_GLOBAL", "work", None, (2,)),
    Instruction(8, "CALL_FUNCTION", 0, None, (2,)),
    Instruction(10, "POP_BLOCK", None, None, (2,)),
    Instruction(12, "LOAD_CONST", None, None, (1,)),
    Instruction(14, "DUP_TOP", None, None, (1,)),
    Instruction(16, "DUP_TOP", None, None, (1,)),
    Instruction(18, "CALL_FUNCTION", 3, None, (1,)),
    Instruction(20, "JUMP_FORWARD", 4, 34, (1,)),
    Instruction(22, "WITH_EXCEPT_START", None, None, (1,)),
    Instruction(24, "POP_JUMP_IF_TRUE", 28, 28, (1,)),
    Instruction(26, "RERAISE", 1, None, (1,)),
    Instruction(28, "POP_TOP", None, None, (1,)),
    Instruction(30, "POP_EXCEPT", None, None, (1,)),
    Instruction(32, "POP_TOP", None, None, (1,)),
    Instruction(34, "LOAD_CONST", 7, None, (3,)),
    Instruction(36, "RETURN_VALUE", None, None, (3,)),
)
"""``with lock: work()`` as CPython 3.10 compiles it."""


def test_blocks_of_3_10_cover_what_stands_between_their_instructions() -> None:
    """There is no table: the instructions begin and end a block."""
    cover = from_blocks(WITH_OF_3_10)
    assert [step.offset for step, handlers in zip(WITH_OF_3_10, cover, strict=True) if handlers] == [4, 6, 8, 10]
    assert {handlers for handlers in cover if handlers} == {(22,)}
    made = chart(WITH_OF_3_10, cover)
    dangerous = [step.offset for step in WITH_OF_3_10 if made.before[step.offset // 2]]
    assert dangerous == [12, 14, 16, 18, 22, 28, 30, 32, 34, 36]
    assert made.inside[2 // 2] and not made.inside[8 // 2] and made.inside[18 // 2]


def test_instructions_that_nothing_reaches_have_no_cover() -> None:
    """A compiler may leave some behind a jump or a return."""
    steps = (Instruction(0, "RETURN_VALUE"), Instruction(2, "NOP"))
    assert from_blocks(steps) == ((), ())


def test_cover_comes_from_the_instructions_where_there_is_no_table() -> None:
    """So it is up to 3.10."""

    class Code:
        co_exceptiontable = None

    assert cover_of(Code(), WITH_OF_3_10) == from_blocks(WITH_OF_3_10)  # type: ignore[arg-type]


def test_block_at_the_very_beginning_has_no_call_before_it() -> None:
    """Nothing can have been taken yet."""

    def beginning() -> None:
        try:
            number = 1
        finally:
            str(number)

    code = beginning.__code__
    assert not chart_of(code).returning[0]


def instruction(**facts: object) -> SimpleNamespace:
    """Return what ``dis`` says of an instruction, in the form of 3.10 if no positions are given."""
    named = {"offset": 0, "opname": "NOP", "argval": None, "argrepr": "", "starts_line": None}
    return SimpleNamespace(**{**named, **facts})


def test_position_is_the_line_where_the_interpreter_knows_no_more() -> None:
    """Up to 3.10 only the first instruction of a line says which line it is."""
    steps = list(_steps([instruction(starts_line=7), instruction(offset=2)]))  # type: ignore[list-item]
    assert [step.position for step in steps] == [(7,), (7,)]


def test_instruction_with_a_long_argument_begins_at_its_prefix() -> None:
    """That is the offset the interpreter gives."""
    prefixed = [instruction(opname="EXTENDED_ARG", positions=(1,)), instruction(offset=2, positions=(1,))]
    assert list(_steps(prefixed)) == [Instruction(0, "NOP", None, None, (1,))]  # type: ignore[arg-type]


def test_none_is_none_also_as_a_common_constant() -> None:
    """From 3.15 on ``dis`` gives a number and a text."""
    common = [instruction(opname="LOAD_COMMON_CONSTANT", argval=7, argrepr=text) for text in ("None", "True")]
    assert [step.loads_none for step in _steps(common)] == [True, False]  # type: ignore[arg-type]


def test_first_instruction_that_makes_an_exit_has_nothing_before_it() -> None:
    """Three arguments and a call at the very beginning, and a call without that many instructions before it."""
    for steps in (
        (Instruction(0, "CALL", 0), Instruction(2, "RETURN_VALUE")),
        (
            Instruction(0, "LOAD_CONST", None),
            Instruction(2, "LOAD_CONST", None),
            Instruction(4, "LOAD_CONST", 1),
            Instruction(6, "CALL", 2),
        ),
        (
            *(Instruction(at, "LOAD_CONST", None) for at in (0, 2, 4)),
            Instruction(6, "PRECALL", 2),
            Instruction(8, "CALL", 2),
        ),
    ):
        made = chart(steps, tuple(() for _ in steps))
        assert bool(made.before[0]) is (len(steps) == 5)


def test_handler_is_what_it_does() -> None:
    """Also one with a loop in it."""

    def undoing(connection: object) -> None:
        try:
            work = 1
            str(work)
        except ValueError:
            while not connection.rollback():
                work = 2

    code = undoing.__code__
    steps = listing(code)
    kinds = {kind_of(steps, body_of(steps, handler)) for handlers in cover_of(code, steps) for handler in handlers}
    assert Handler.UNDOES in kinds


@pytest.mark.parametrize("file", [threading.__file__, logging.__file__, "<frozen importlib._bootstrap>"])
def test_modules_with_everybodys_locks_are_spared(file: str) -> None:
    """Nothing is raised in their functions, however long they take."""
    assert is_spared(file)
    assert not is_spared("/srv/app/threading.py")


def application() -> None:
    """Stands for an application."""
    for number in range(3):
        str(number)


@calls_application
def call() -> None:
    """Stands for the function that calls it."""
    application()


@runs_tasks
def run() -> None:
    """Stands for the function that runs a task which calls no application of ours."""
    application()


LIBRARY = compile(
    "def f():\n    for number in range(3):\n        len(())\n", "/venv/lib/python3.11/site-packages/x.py", "exec"
)
OURS = compile("1", call.__code__.co_filename, "exec").replace(co_filename=is_spared.__code__.co_filename)


def function_of(code: CodeType) -> CodeType:
    """Return the first function that a module defines."""
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


def test_stack_is_as_good_as_its_worst_call() -> None:
    """Of the innermost function the next instruction counts, of the others the place of the call."""
    assert is_application_boundary(call.__code__) and is_task_boundary(run.__code__)
    inner, boundary = (application.__code__, 0), (call.__code__, 0)
    assert raised_before([inner, boundary]) is Grade.SAFE
    assert raised_before([inner, (run.__code__, 0), (OURS, 0)]) is Grade.SAFE, "what runs the task is not looked at"
    assert raised_before([inner]) is Grade.SAFE
    assert raised_before([boundary]) is Grade.AVOID, "the result of the application would be lost"
    assert raised_on_return([boundary]) is Grade.SAFE
    assert raised_before([(run.__code__, 0)]) is Grade.SAFE
    assert raised_before([(OURS, 0), inner, boundary]) is Grade.NEVER
    assert raised_before([(threading.Event.set.__code__, 0), inner, boundary]) is Grade.NEVER
    assert raised_before([inner, (threading.Event.set.__code__, 0), boundary]) in (Grade.SAFE, Grade.AVOID)
    assert raised_before([(function_of(LIBRARY), 0), boundary]) is Grade.LIBRARY
    taking = compile("def acquire():\n    for number in range(3):\n        len(())\n", "app.py", "exec")
    assert raised_before([(function_of(taking), 0), boundary]) is Grade.AVOID
    assert raised_before([inner, (function_of(taking), 0), boundary]) is Grade.AVOID


def test_only_a_call_can_be_interrupted() -> None:
    """After another instruction the interpreter does not look, so the exception would come later, in any place."""
    boundary = (call.__code__, 0)
    steps = listing(application.__code__)
    grades = {step.calls: raised_in_call([(application.__code__, step.offset), boundary]) for step in steps}
    assert grades == {True: Grade.SAFE, False: Grade.NEVER}
    taking = function_of(compile("def f(lock):\n    lock.acquire()\n    print()\n", "app.py", "exec"))
    acquiring = next(step for step in listing(taking) if step.calls)
    assert raised_in_call([(taking, acquiring.offset), boundary]) is Grade.AVOID


ENTERING = """
def plain(lock):
    with lock:
        print()

def at_the_end(lock):
    try:
        print()
    finally:
        with lock:
            print()
"""


def test_exception_out_of_a_call_that_has_taken_nothing_may_pass_a_with() -> None:
    """If it may have taken something nobody would give that back. In a ``finally`` nothing is raised either way."""
    boundary = (call.__code__, 0)
    code = compile(ENTERING, "app.py", "exec")
    plain, at_the_end = [constant for constant in code.co_consts if isinstance(constant, CodeType)]

    def entering(function: CodeType) -> tuple[CodeType, int]:
        marks = ("BEFORE_WITH", "SETUP_WITH")
        steps = listing(function)
        before = next(
            step for step in steps if step.name in marks or step.word == "__enter__" or step.name == "LOAD_SPECIAL"
        )
        later = [step for step in steps if step.offset > before.offset and step.calls]
        return function, before.offset if before.name in marks else later[0].offset

    assert raised_in_callee([entering(plain), boundary], took=True) is Grade.AVOID
    assert raised_in_callee([entering(plain), boundary], took=False) is Grade.SAFE
    assert raised_in_callee([entering(at_the_end), boundary], took=False) is Grade.CLEANUP
    assert raised_in_callee([(run.__code__, 0), (OURS, 0)], took=True) is Grade.SAFE
    assert raised_in_callee([(application.__code__, 0), (OURS, 0), boundary], took=True) is Grade.NEVER
    assert raised_in_callee([(application.__code__, 0)], took=True) is Grade.SAFE, "a stack that is cut off"


def test_wait_of_a_condition_has_one_finally_that_a_kill_runs() -> None:
    """It stands around the acquire that waits, and not around the one before it, nor around what the ``finally`` does."""
    code = threading.Condition.wait.__code__
    steps = listing(code)
    takes = [index for index, step in enumerate(steps) if step.word == "acquire"]
    calls = [next(step.offset for step in steps[index:] if step.calls) for index in takes]
    first, *waiting = calls
    assert len(waiting) == 3 or len(waiting) == 2
    assert not runs_the_same_finally(code, first, first)
    assert all(runs_the_same_finally(code, waiting[0], offset) for offset in waiting)
    restores = next(step.offset for step in steps if step.word == "_acquire_restore")
    assert not runs_the_same_finally(code, waiting[0], restores)


def test_call_before_a_block_may_have_taken_something() -> None:
    """So nothing is raised in the instant at which it returns, nor between it and the block."""
    steps = (
        Instruction(0, "LOAD_NAME", "connect", None, (1,)),
        Instruction(2, "CALL_FUNCTION", 0, None, (1,)),
        Instruction(4, "POP_TOP", None, None, (1,)),
        Instruction(6, "SETUP_FINALLY", 8, 16, (2,)),
        Instruction(8, "NOP", None, None, (3,)),
        Instruction(10, "POP_BLOCK", None, None, (3,)),
        Instruction(12, "LOAD_CONST", None, None, (3,)),
        Instruction(14, "RETURN_VALUE", None, None, (3,)),
        Instruction(16, "LOAD_NAME", "disconnect", None, (5,)),
        Instruction(18, "CALL_FUNCTION", 0, None, (5,)),
        Instruction(20, "RERAISE", 0, None, (5,)),
    )
    made = chart(steps, from_blocks(steps))
    assert made.returning[2 // 2]
    assert [offset for offset in (0, 4, 6, 8) if made.before[offset // 2]] == [4, 6, 8]


def test_grades_of_many_functions_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that makes functions all the time, such as a template language, costs no more and more memory."""
    kept: dict[int, object] = {}
    monkeypatch.setattr(verdict, "_judged", kept)
    monkeypatch.setattr(verdict, "_KEPT", 5)
    for number in range(12):
        made = compile(f"def f():\n    return {number}\n", "app.py", "exec")
        assert raised_before([(function_of(made), 0)]) is not Grade.NEVER
        assert len(kept) <= 5
    assert len(kept) == 2


def test_function_that_has_not_begun_is_a_safe_place() -> None:
    """The interpreter gives it the offset -1."""
    assert chart_of(application.__code__).before[-1 >> 1] == Grade.SAFE
