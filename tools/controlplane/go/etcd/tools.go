//go:build tools

// Package tools names the command that is built from this module, so that "go mod tidy" keeps what it needs.
//
// etcd's server module has replacements of its own, and "go install" refuses a module with replacements.
package tools

import _ "go.etcd.io/etcd/server/v3"
