// Writes the GraphQL documents that clients of a schema need, from the schema
// alone: whatever is added to it is tried without a line more here.
import {
  getNamedType, isCompositeType, isInterfaceType, isLeafType, isObjectType, isRequiredArgument, isUnionType,
} from "graphql";
import { types } from "./sdl.mjs";

/** isConnection tells whether a field gives a page of a list. */
export function isConnection(field) {
  return getNamedType(field.type).name.endsWith("Connection");
}

/** nodes gives the types that `node` finds again. */
export function nodes(schema) {
  const node = schema.getType("Node");
  if (!isInterfaceType(node)) throw new Error("there is no interface Node");
  return types(schema, (type) => isObjectType(type) && type.getInterfaces().includes(node));
}

/** connections gives every field that pages a list, with the type that has it. */
export function connections(schema) {
  return types(schema, isObjectType).flatMap((owner) =>
    Object.values(owner.getFields()).filter(isConnection).map((field) => ({ owner, field })));
}

/** roots gives each field of Query, Mutation and Subscription, with the kind of its operation. */
export function roots(schema) {
  return ["query", "mutation", "subscription"].flatMap((kind) =>
    Object.values(schema.getRootType(kind)?.getFields() ?? {}).map((field) => ({ kind, field })));
}

/**
 * selection selects, without the braces, all that a type has and so many objects
 * deep. Pages are of ten; a field that cannot do without arguments is left out.
 */
export function selection(schema, type, depth) {
  type = getNamedType(type);
  const own = isUnionType(type)
    ? schema.getPossibleTypes(type).map((member) => `... on ${member.name} { ${select(schema, member, depth, `${member.name}_`)} }`)
    : [select(schema, type, depth, "")];
  return ["__typename", ...own].join(" ");
}

// select gives the fields new names where prefix is not empty: one answer may
// not have fields of one name and different types.
function select(schema, type, depth, prefix) {
  return Object.values(type.getFields())
    .filter((field) => !field.args.some(isRequiredArgument))
    .filter((field) => depth > 0 || isLeafType(getNamedType(field.type)))
    .map((field) => {
      const name = prefix ? `${prefix}${field.name}: ${field.name}` : field.name;
      const page = isConnection(field) ? "(first: 10)" : "";
      const below = isLeafType(getNamedType(field.type)) ? "" : ` { ${selection(schema, field.type, depth - 1)} }`;
      return name + page + below;
    })
    .join(" ");
}

/** operation calls one root field, with all of its arguments as variables. */
export function operation(schema, { kind, field }, name, depth) {
  const declared = field.args.map((arg) => `$${arg.name}: ${arg.type}`).join(", ");
  const given = field.args.map((arg) => `${arg.name}: $${arg.name}`).join(", ");
  const below = isCompositeType(getNamedType(field.type)) ? ` { ${selection(schema, field.type, depth)} }` : "";
  return `${kind} ${name}${declared && `(${declared})`} { ${field.name}${given && `(${given})`}${below} }`;
}

/** capital makes the first letter one. */
export function capital(name) {
  return name[0].toUpperCase() + name.slice(1);
}
