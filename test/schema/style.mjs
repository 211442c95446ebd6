// Lints a schema with @graphql-eslint: schema-recommended and schema-relay.
//
//   node style.mjs [FOLDER OF THE SDL]
import graphql from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { read, report } from "./sdl.mjs";

const { folder, files } = read(process.argv[2]);

const rules = {
  ...graphql.configs["flat/schema-recommended"].rules,
  ...graphql.configs["flat/schema-relay"].rules,
  "@graphql-eslint/require-description": ["error", {
    types: true, rootField: true, DirectiveDefinition: true, FieldDefinition: true, InputValueDefinition: true,
    EnumValueDefinition: true,
  }],

  // Off: one line is written "so", several as a block; neither is wrong.
  "@graphql-eslint/description-style": "off",
  // Off: values such as Money have no id. What has one implements Node, and so must have it.
  "@graphql-eslint/strict-id-in-types": "off",
  // Narrowed: connections have `nodes` beside `edges`, as GitHub's and Shopify's do;
  // that a list's items implement Node is held by conventions.mjs, which knows the exceptions.
  "@graphql-eslint/relay-edge-types": ["error", {
    withEdgeSuffix: true, listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false,
  }],
};

const eslint = new ESLint({
  cwd: folder,
  overrideConfigFile: true,
  overrideConfig: {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: files } } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { "@graphql-eslint": graphql },
    rules,
  },
});

const results = await eslint.lintFiles(files);
const faults = results.flatMap(({ filePath, messages }) =>
  messages.map(({ line, column, message, ruleId }) => `${filePath}:${line}:${column} ${message} (${ruleId})`));
report(faults, `graphql-eslint: ${results.length} files`);
