// Package suite runs the official Gateway API conformance suite.
//
// It adds nothing to the suite: it is a module of its own only so that versions are pinned, and so that the same
// sources run against another version (go test -modfile=v1.6.3.mod). Every flag of the suite works after -args.
package suite

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}
