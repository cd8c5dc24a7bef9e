# SPDX-License-Identifier: BSD-2-Clause
"""On which line of a TOML file does a key stand? tomllib keeps no positions, so this walks the tokens of
a text that tomllib has already accepted: it may trust the syntax and checks none of it."""

import re

_TOKEN = re.compile(
    r'''(?P<space>[ \t\r]+|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<string>"""(?:\\.|[^\\])*?"""+ | \'\'\'.*?\'\'\'+ | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
      | (?P<mark>[\[\]{}=,.])
      | (?P<bare>[^\s\[\]{}=,."'\#]+)''',
    re.VERBOSE | re.DOTALL,
)


class _Walker:
    def __init__(self, text):
        self.tokens = []
        line = 1
        for match in _TOKEN.finditer(text):
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup, match.group(), line))
            line += match.group().count("\n")
        self.tokens.append(("end", "", line))
        self.at = 0
        self.lines = {}

    @property
    def text(self):
        return self.tokens[self.at][1]

    def take(self):
        token = self.tokens[self.at]
        self.at += 1
        return token

    def skip_newlines(self):
        while self.text == "\n":
            self.at += 1

    def key(self, prefix):
        """One dotted key; records the line of each of its steps."""
        path = prefix
        while True:
            kind, text, line = self.take()
            path += (text[1:-1] if kind == "string" else text,)
            self.lines.setdefault(path, line)
            if self.text != ".":
                return path
            self.take()

    def value(self, path):
        if self.text == "[":
            self.array(path)
        elif self.text == "{":
            self.take()
            while self.text != "}":
                self.pair(path)
                if self.text == ",":
                    self.take()
            self.take()
        else:
            while self.text not in (",", "]", "}", "\n", ""):
                self.take()

    def array(self, path):
        self.take()
        index = 0
        self.skip_newlines()
        while self.text != "]":
            self.lines[path + (index,)] = self.tokens[self.at][2]
            self.value(path + (index,))
            index += 1
            self.skip_newlines()
            if self.text == ",":
                self.take()
            self.skip_newlines()
        self.take()

    def pair(self, prefix):
        path = self.key(prefix)
        self.take()  # =
        self.value(path)

    def header(self, counts):
        """[table] or [[array of tables]]; returns the path that the next keys belong to."""
        self.take()
        many = self.text == "["
        if many:
            self.take()
        path = self.key(())
        self.at += 2 if many else 1
        if many:
            counts[path] = counts.get(path, -1) + 1
            path += (counts[path],)
            self.lines[path] = self.tokens[self.at][2]
        return path

    def walk(self):
        table, counts = (), {}
        while self.text:
            if self.text == "\n":
                self.take()
            elif self.text == "[":
                table = self.header(counts)
            else:
                self.pair(table)
        return self.lines


def key_lines(text):
    """{path: line} for every key, table and array element; a path is a tuple of names and indices."""
    return _Walker(text).walk()
