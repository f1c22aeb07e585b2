# SPDX-License-Identifier: MIT
"""Every prototype in include/uzram is a contract in kernel-doc: what it is
for, each parameter, Context:, and Return: unless it returns nothing.
"""

import re

import tree

COMMENT = re.compile(r'/\*.*?\*/', re.S)
NAME = re.compile(r'([A-Za-z_]\w*)\s*\(')
ATTRIBUTE = re.compile(r'\b(uz_must_check\b|extern\b|uz_printf\s*\([^)]*\))')
TITLE = re.compile(r'^/\*\*\n \* (\w+)\(\) - \S')
PARAMETER = re.compile(r'^ \* @(\w+):[ \t]+\S', re.M)


def depth_zero(text):
    """Blank out what stands in braces, keeping line feeds."""
    out = []
    depth = 0
    for c in text:
        if c == '}':
            depth -= 1
        out.append(c if depth == 0 or c == '\n' else ' ')
        if c == '{':
            depth += 1
    return ''.join(out)


def prototypes(text):
    """(offset, return type, name, parameter list) of each."""
    blank = COMMENT.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), text)
    blank = re.sub(
        r'^[ \t]*#(?:.*\\\n)*.*$',
        lambda m: re.sub(r'[^\n]', ' ', m[0]),
        blank,
        flags=re.M,
    )
    start = 0
    code = depth_zero(blank)
    for end in (m.start() for m in re.finditer(r'[;}]', code)):
        raw = code[start:end]
        offset = start + len(raw) - len(raw.lstrip())
        ended_by = code[end]
        start = end + 1
        statement = ATTRIBUTE.sub('', raw).strip()
        if ended_by == '}' or re.match(
            r'(typedef|struct\s+\w+\s*(\{|$)|enum|union|static)\b', statement
        ):
            continue
        match = NAME.search(statement)
        if match:
            yield (
                offset,
                statement[: match.start()].strip(),
                match[1],
                statement[match.end() : statement.rindex(')')],
            )


def split_arguments(text):
    depth = 0
    part = ''
    for c in text:
        depth += (c == '(') - (c == ')')
        if c == ',' and depth == 0:
            yield part
            part = ''
        else:
            part += c
    yield part


def parameter_names(text):
    for part in split_arguments(text):
        part = part.strip()
        if part in ('void', '', '...'):
            continue
        pointer = re.search(r'\(\s*\*\s*(\w+)\s*\)', part)
        yield pointer[1] if pointer else re.findall(
            r'\w+', part.split('[')[0]
        )[-1]


def problems(doc, returns, name, arguments):
    """What the kernel-doc comment lacks."""
    title = TITLE.match(doc)
    if not title or title[1] != name:
        # A long title may take two lines.
        if not doc.startswith(f'/**\n * {name}() - '):
            yield f'{name}() has no kernel-doc comment before it'
            return
    documented = PARAMETER.findall(doc)
    wanted = list(parameter_names(arguments))
    for missing in (p for p in wanted if p not in documented):
        yield f'{name}(): @{missing} is not documented'
    for extra in (p for p in documented if p not in wanted):
        yield f'{name}(): there is no parameter @{extra}'
    if '\n * Context:' not in doc:
        yield f'{name}(): no Context:'
    if returns != 'void' and '\n * Return:' not in doc:
        yield f'{name}(): no Return:'
    if returns == 'void' and '\n * Return:' in doc:
        yield f'{name}(): Return: although it returns nothing'


def check(root):
    for path in tree.files(root / 'include', '*.h'):
        text = path.read_text(encoding='utf-8')
        comments = [(m.end(), m[0]) for m in COMMENT.finditer(text)]
        for offset, returns, name, arguments in prototypes(text):
            doc = ''
            for end, comment in comments:
                if end <= offset and not text[end:offset].strip():
                    doc = comment
            line = text.count('\n', 0, offset) + 1
            for problem in problems(doc, returns, name, arguments):
                yield path, line, problem


if __name__ == '__main__':
    tree.main(check)
