package suite

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

var catalogue = flag.String("catalogue", "", "write what tests there are to this file, as JSON, and run none")

var profiles = []suite.ConformanceProfile{
	suite.GatewayHTTPConformanceProfile,
	suite.GatewayGRPCConformanceProfile,
	suite.GatewayTLSConformanceProfile,
	suite.GatewayTCPConformanceProfile,
	suite.GatewayUDPConformanceProfile,
	suite.MeshHTTPConformanceProfile,
	suite.MeshGRPCConformanceProfile,
}

type entry struct {
	Name        string            `json:"name"`
	Features    []string          `json:"features"`
	Levels      map[string]string `json:"levels"` // by profile: core or extended; absent: not part of it
	Parallel    bool              `json:"parallel"`
	Provisional bool              `json:"provisional"`
}

// level says what a test counts as in a profile: core if all of its features are, "" if one is unknown there.
func level(profile suite.ConformanceProfile, test suite.ConformanceTest) string {
	found := "core"
	for _, feature := range test.Features {
		switch {
		case profile.CoreFeatures.Has(feature):
		case profile.ExtendedFeatures.Has(feature):
			found = "extended"
		default:
			return ""
		}
	}
	return found
}

// TestCatalogue lists the suite's tests: the reports name levels only after a run, and only of what failed.
func TestCatalogue(t *testing.T) {
	if *catalogue == "" {
		t.Skip("no -catalogue FILE")
	}
	entries := make([]entry, 0, len(tests.ConformanceTests))
	for _, test := range tests.ConformanceTests {
		each := entry{test.ShortName, []string{}, map[string]string{}, test.Parallel, test.Provisional}
		for _, feature := range test.Features {
			each.Features = append(each.Features, string(feature))
		}
		for _, profile := range profiles {
			if found := level(profile, test); found != "" {
				each.Levels[string(profile.Name)] = found
			}
		}
		entries = append(entries, each)
	}
	written, err := json.Marshal(entries)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(*catalogue, written, 0o600))
}
