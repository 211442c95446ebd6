// Holds the conventions of Souk's API that public linters do not know.
//
//   node conventions.mjs [FOLDER OF THE SDL]
import {
  getNamedType, getNullableType, isEnumType, isInputObjectType, isInterfaceType, isListType, isNonNullType, isObjectType,
} from "graphql";
import { capital, connections, nodes, roots } from "./documents.mjs";
import { read, report, types } from "./sdl.mjs";

const { schema } = read(process.argv[2]);
const holders = types(schema, (type) => isObjectType(type) || isInterfaceType(type) || isInputObjectType(type));
const members = holders.flatMap((type) => Object.values(type.getFields()).map((field) => ({ type, field, at: `${type.name}.${field.name}` })));

// What is listed though no id finds it again, with the reason.
const listedOnly = {
  StatementLine: "a transfer as one of its two accounts sees it",
};

const faults = [...mutations(), ...subscriptions(), ...lists(), ...pages(), ...values(), ...deprecations()];
report(faults, `conventions: ${holders.length} types`);

/** One input, one payload: nullable entities and a list of why not. */
function* mutations() {
  for (const { kind, field } of roots(schema)) {
    if (kind !== "mutation") continue;
    const name = capital(field.name);
    const input = field.args[0]?.type;
    if (field.args.length !== 1 || field.args[0].name !== "input" || `${input}` !== `${name}Input!`) {
      yield `${field.name} takes no single input: ${name}Input!`;
      continue;
    }
    if (`${field.type}` !== `${name}Payload!`) {
      yield `${field.name} gives no ${name}Payload!`;
      continue;
    }
    yield* payload(getNamedType(field.type), getNamedType(input));
  }
}

function* payload(type, input) {
  const { userErrors, replayed, ...entities } = type.getFields();
  const key = input.getFields().idempotencyKey;
  if (!userErrors || !/^\[\w+UserError!\]!$/.test(userErrors.type)) yield `${type.name} has no userErrors: [<Domain>UserError!]!`;
  if (key && `${key.type}` !== "String!") yield `${input.name}.idempotencyKey is no String!`;
  if (replayed && (!key || `${replayed.type}` !== "Boolean!")) yield `${type.name}.replayed is no Boolean!, or its input has no idempotencyKey`;
  for (const field of Object.values(entities)) {
    if (isNonNullType(field.type) && `${field.type}` !== "Boolean!") yield `${type.name}.${field.name} cannot be null when the mutation is refused`;
  }
}

/** What is missed can be asked for again. */
function* subscriptions() {
  for (const { kind, field } of roots(schema)) {
    const after = field.args.find((arg) => arg.name === "after");
    if (kind === "subscription" && `${after?.type}` !== "String") yield `Subscription.${field.name} takes no after: String`;
  }
}

/** Lists hold no null, but where its place tells which id was not found. */
function* lists() {
  for (const { at, field } of members) {
    const list = getNullableType(field.type);
    if (isListType(list) && !isNonNullType(list.ofType) && at !== "Query.nodes") yield `${at} may hold null: ${field.type}`;
  }
}

/** Pages are Relay's, in both directions, of nodes. */
function* pages() {
  const found = new Set(nodes(schema).map((type) => type.name));
  for (const { owner, field } of connections(schema)) {
    const given = Object.fromEntries(field.args.map((arg) => [arg.name, `${arg.type}`]));
    if (given.first !== "Int" || given.after !== "String" || given.last !== "Int" || given.before !== "String") {
      yield `${owner.name}.${field.name} is not paged by first: Int, after: String, last: Int, before: String`;
    }
    const { nodes: list, edges, pageInfo } = getNamedType(field.type).getFields();
    const item = `${list && getNamedType(list.type)}`;
    if (`${list?.type}` !== `[${item}!]!` || `${edges?.type}` !== `[${item}Edge!]!` || `${pageInfo?.type}` !== "PageInfo!") {
      yield `${getNamedType(field.type)} has no edges: [${item}Edge!]!, nodes: [${item}!]!, pageInfo: PageInfo!`;
    }
    if (!found.has(item) && !listedOnly[item]) yield `${item} is listed by ${owner.name}.${field.name} and is no Node`;
  }
}

/** Money is whole, times are times, and codes are known. */
function* values() {
  for (const { at, type, field } of members) {
    const name = getNamedType(field.type).name;
    if (name === "Float") yield `${at} is a Float`;
    if (/Minor$/.test(field.name) && name !== "Int64") yield `${at} is no Int64`;
    if (/[a-z](At|Until)$/.test(field.name) && name !== "DateTime") yield `${at} is no DateTime`;
    if (/Url$|^url$/.test(field.name) && name !== "URL") yield `${at} is no URL`;
    if (/^amount$|[a-z]Amount$|^price$|Price$/.test(field.name) && !/^Money/.test(name)) yield `${at} is no Money`;
    if (/UserError$/.test(type.name) && field.name === "code" && !isEnumType(getNamedType(field.type))) yield `${at} is no enum`;
  }
  for (const type of types(schema, (type) => isObjectType(type) && type.name.endsWith("UserError"))) {
    if (!type.getInterfaces().some(({ name }) => name === "UserError")) yield `${type.name} does not implement UserError`;
    if (!type.getFields().code) yield `${type.name} has no code`;
  }
}

/** A deprecation says until when a field stays. */
function* deprecations() {
  const enums = types(schema, isEnumType).flatMap((type) => type.getValues().map((field) => ({ field, at: `${type.name}.${field.name}` })));
  const args = members.flatMap(({ field, at }) => (field.args ?? []).map((arg) => ({ field: arg, at: `${at}(${arg.name})` })));
  for (const { field, at } of [...members, ...enums, ...args]) {
    if (field.deprecationReason && !/\b\d{4}-\d\d-\d\d\b/.test(field.deprecationReason)) {
      yield `${at} is deprecated without the date of its removal (2027-01-31)`;
    }
  }
}
