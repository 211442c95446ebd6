// Package config is what an operator may set, one struct per concern.
//
// A value comes from the first of these that has it: a flag of the command
// line, the environment, the file, the default. A key such as http.public_url is
// SOUK_HTTP_PUBLIC_URL in the environment. Defaults differ between the embedded
// default, which needs no settings at all, and production, which begins where
// the database is a PostgreSQL server.
//
// A key that is not known is an error and never ignored: a setting that an
// operator believes to be in force, and is not, is worse than a start that fails.
package config
