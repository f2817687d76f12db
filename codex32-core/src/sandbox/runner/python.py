"""Runs one script for the engine: python.py INPUT_FD RESULT_FD ENTRY.

Input and result are JSON on descriptors of their own, so that stdin, stdout and
stderr stay the script's. A script that defines `main` is imported and `main` is
called; any other script runs as a program.
"""
import json
import os
import sys
import types

NAMES = {"input", "event", "data", "payload", "body"}


def load(path):
    """The compiled script, and whether it defines `main` at its top level."""
    with open(path, "rb") as file:
        source = file.read()
    tree = compile(source, path, "exec", 0x400 | 0x2000)  # PyCF_ONLY_AST | PyCF_ALLOW_TOP_LEVEL_AWAIT
    found = False
    for node in tree.body:
        kind = type(node).__name__
        if kind in ("FunctionDef", "AsyncFunctionDef"):
            found = found or node.name == "main"
        elif kind == "Assign":
            found = found or any(getattr(target, "id", None) == "main" for target in node.targets)
        elif kind == "ImportFrom":
            found = found or any((name.asname or name.name) == "main" for name in node.names)
    return compile(source, path, "exec", 0x2000), found


def arguments(main, value):
    """How `main` wants its input: whole, or field by field by the names of its parameters."""
    import inspect

    try:
        parameters = list(inspect.signature(main).parameters.values())
    except (TypeError, ValueError):
        return [value], {}
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = [p for p in parameters if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if not parameters:
        return [], {}
    if not others and not positional:
        return [value], {}
    if len(positional) == 1 and not others:
        name = positional[0].name
        if name in NAMES or not isinstance(value, dict) or name not in value:
            if name in NAMES or positional[0].default is positional[0].empty:
                return [value], {}
    if not isinstance(value, dict):
        raise TypeError("main() takes fields by name, and the input is not an object")
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        given = dict(value)
    else:
        given = {p.name: value[p.name] for p in parameters if p.name in value}
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    missing = [p.name for p in needed if p.name not in given]
    if missing:
        has = ", ".join(sorted(value)) or "no fields"
        raise TypeError("main() needs %s; the input has %s" % (", ".join(missing), has))
    first = [given.pop(p.name) for p in positional if p.kind == p.POSITIONAL_ONLY and p.name in given]
    return first, given


def plain(value):
    """What JSON has no word for, in the form that people expect."""
    for method in ("isoformat", "model_dump", "tolist"):
        if callable(getattr(value, method, None)) and not isinstance(value, type):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, os.PathLike) or type(value).__name__ in ("UUID", "Decimal"):
        return str(value)
    raise TypeError("main() returned a %s, which JSON cannot carry" % type(value).__name__)


def frames(error, root):
    """The script's own frames of a traceback, as Python prints them."""
    import traceback

    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(root):
            lines.append('  File "%s", line %s, in %s' % (frame.filename[len(root):], frame.lineno, frame.name))
            if frame.line:
                lines.append("    " + frame.line.strip())
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(root):
        lines.append('  File "%s", line %s' % (error.filename[len(root):], error.lineno))
        if error.text:
            text = error.text.rstrip("\n")
            lines.append("    " + text.lstrip())
            column = (error.offset or 1) - 1 - (len(text) - len(text.lstrip()))
            lines.append("    " + " " * max(column, 0) + "^")
    return lines


def describe(error, root, depth=0):
    """An exception as data: type, message, where, and what it came from."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = frames(error, root)
    for inner in getattr(error, "exceptions", ())[:5]:
        lines.append("  - %s: %s" % (type(inner).__name__, inner))
        lines.extend("  " + line for line in frames(inner, root))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < 4:
        before = describe(cause, root, depth + 1)
        lines.append("caused by %s: %s" % (before["type"], before["message"]))
        lines.extend(before["trace"])
    return {"type": type(error).__name__, "message": message, "trace": lines}


def settle(result):
    """The value itself, where the script gave something to wait for."""
    import inspect

    if inspect.isawaitable(result):
        import asyncio

        async def wait():
            return await result

        return asyncio.run(wait())
    return result


def work(path, value):
    """Runs the script; the answer for the engine, or None for a script without `main`."""
    code, callable_script = load(path)
    module = types.ModuleType("main" if callable_script else "__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__
    sys.modules[module.__name__] = module
    started = eval(code, module.__dict__)
    if started is not None:
        settle(started)
    if not callable_script or not callable(module.__dict__.get("main")):
        return None
    positional, named = arguments(module.main, value)
    result = settle(module.main(*positional, **named))
    try:
        return json.dumps({"ok": result}, default=plain, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise ValueError("main() returned what JSON cannot carry: %s" % error) from None


def send(descriptor, text):
    """Writes the answer and closes its descriptor."""
    with os.fdopen(descriptor, "wb") as out:
        out.write(text.encode("utf-8", "replace"))


def start():
    source, result, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.set_inheritable(source, False)
    os.set_inheritable(result, False)
    home = os.getcwd()
    sys.path[0] = os.path.dirname(path)
    if home not in sys.path:
        sys.path.insert(1, home)
    if os.environ.get("PYTHONPATH"):
        import site

        for folder in os.environ["PYTHONPATH"].split(os.pathsep):
            site.addsitedir(folder)
    sys.argv = [path]
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)
    with os.fdopen(source, "rb") as file:
        value = json.loads(file.read() or b"null")
    try:
        answer = work(path, value)
    except SystemExit as leave:
        if leave.code is None or leave.code == 0:
            send(result, '{"ok":null}' if "main" in sys.modules else "")
        raise
    except BaseException as error:  # whatever ends the script is reported, interrupts too
        send(result, json.dumps({"error": describe(error, home + os.sep)}))
        sys.exit(1)
    if answer is not None:
        send(result, answer)


start()
