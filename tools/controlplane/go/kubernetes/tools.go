//go:build tools

// Package tools names the commands that are built from this module, so that "go mod tidy" keeps what they need.
//
// k8s.io/kubernetes replaces its staging modules by folders of its own repository. "go install" refuses a module with
// replacements, and "go build" without them asks for the version v0.0.0; this module replaces each by its release.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
