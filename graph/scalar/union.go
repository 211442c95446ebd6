package scalar

// Union is the Go type of the schema's unions: any of their members.
type Union any
