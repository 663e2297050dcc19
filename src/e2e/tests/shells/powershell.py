"""Reads PowerShell by its grammar: prints the faults, and which command or variable each statement begins with.

usage: powershell.py < TEXT
"""

import sys

import tree_sitter
import tree_sitter_pwsh


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


def main():
    text = sys.stdin.buffer.read()
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language())).parse(text)
    for node in nodes(tree.root_node):
        said = text[node.start_byte : node.end_byte].decode()
        if node.is_error or node.is_missing:
            print(f"fault {node.start_point.row + 1}:{node.start_point.column + 1}")
        elif node.type == "command_name":
            print(f"command {said}")
        elif node.type == "assignment_expression" and said.startswith("$Env:"):
            print(f"sets {said}")


main()
