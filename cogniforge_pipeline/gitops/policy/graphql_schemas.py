"""`graphql.is_valid` and `graphql.schema_is_valid`, by graphql-core.

Belongs here: whether texts are valid. Does not: `graphql.parse*`, whose trees have the form of another library.
"""

from __future__ import annotations


def schema_is_valid(schema: object) -> bool:
    """Whether a schema in GraphQL's own language can be built, and its types fit together."""
    from graphql import GraphQLError, build_schema, validate_schema

    try:
        return isinstance(schema, str) and not validate_schema(build_schema(_with_query(schema)))
    except (GraphQLError, TypeError):
        return False


def is_valid(query: object, schema: object) -> bool:
    """Whether a query is valid against a schema."""
    from graphql import GraphQLError, build_schema, parse, validate

    try:
        if not isinstance(query, str) or not isinstance(schema, str):
            return False
        return not validate(build_schema(_with_query(schema)), parse(query))
    except (GraphQLError, TypeError):
        return False


def _with_query(schema: str) -> str:
    """A schema without a root is one in OPA; graphql-core wants to have one."""
    from graphql import OperationTypeDefinitionNode, parse, visit
    from graphql.language import ObjectTypeDefinitionNode, SchemaDefinitionNode, Visitor

    class Roots(Visitor):
        found = False

        def enter(self, node: object, *_: object) -> None:
            named = isinstance(node, ObjectTypeDefinitionNode) and node.name.value == "Query"
            self.found = self.found or named or isinstance(node, SchemaDefinitionNode | OperationTypeDefinitionNode)

    roots = Roots()
    visit(parse(schema), roots)
    return schema if roots.found else f"{schema}\ntype Query {{ unused: Int }}"
