"""A contract's column types for each engine: Spark SQL text in, delta-rs and Arrow types out."""

import re

import pyarrow as pa
from deltalake import Field, Schema
from deltalake.schema import ArrayType, MapType, PrimitiveType, StructType

from tandemrec.lake.contracts import Table

_DELTA = {"int": "integer", "bigint": "long", "tinyint": "byte"}
_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "tinyint": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def delta_type(text: str) -> PrimitiveType | ArrayType | MapType | StructType:
    """A delta-rs type of Spark's text: int, decimal(12,2), array<int>, map<string,double>, struct<a:int,b:string>."""
    if inner := re.fullmatch(r"array<(.+)>", text):
        return ArrayType(delta_type(inner[1]), contains_null=True)
    if inner := re.fullmatch(r"map<(\w+),(.+)>", text):
        return MapType(delta_type(inner[1]), delta_type(inner[2]), value_contains_null=True)
    if fields := _fields(text):
        return StructType([Field(name, delta_type(inner), True) for name, inner in fields])
    return PrimitiveType(_DELTA.get(text, text))


def _fields(text: str) -> list[tuple[str, str]]:
    """Names and types of a struct without structs in it; none of any other type."""
    inner = re.fullmatch(r"struct<(.+)>", text)
    return re.findall(r"(\w+):(.+?)(?:,(?=\w+:)|$)", inner[1]) if inner else []


def type_text(type_: PrimitiveType | ArrayType | MapType | StructType) -> str:
    """The text of a delta-rs type, as a contract writes it."""
    if isinstance(type_, ArrayType):
        return f"array<{type_text(type_.element_type)}>"
    if isinstance(type_, MapType):
        return f"map<{type_text(type_.key_type)},{type_text(type_.value_type)}>"
    if isinstance(type_, StructType):
        return f"struct<{','.join(f'{field.name}:{type_text(field.type)}' for field in type_.fields)}>"
    return {name: text for text, name in _DELTA.items()}.get(type_.type, str(type_.type))


def delta_schema(table: Table) -> Schema:
    return Schema(
        [
            Field(column.name, delta_type(column.type), not column.required, metadata={"comment": column.comment})
            for column in table.columns
        ]
    )


def arrow_type(text: str) -> pa.DataType:
    if inner := re.fullmatch(r"array<(.+)>", text):
        return pa.list_(arrow_type(inner[1]))
    if inner := re.fullmatch(r"map<(\w+),(.+)>", text):
        return pa.map_(arrow_type(inner[1]), arrow_type(inner[2]))
    if fields := _fields(text):
        return pa.struct([pa.field(name, arrow_type(inner)) for name, inner in fields])
    if inner := re.fullmatch(r"decimal\((\d+),(\d+)\)", text):
        return pa.decimal128(int(inner[1]), int(inner[2]))
    return _ARROW[text]


def arrow_schema(table: Table) -> pa.Schema:
    return pa.schema([pa.field(c.name, arrow_type(c.type), nullable=not c.required) for c in table.columns])


def ddl(table: Table) -> str:
    """The columns as Spark's schema text."""
    return ", ".join(f"{c.name} {c.type}{' NOT NULL' if c.required else ''}" for c in table.columns)
