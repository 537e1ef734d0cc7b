//go:build e2e

package officialclient

// The client's own tests are built from here: go mod tidy is to keep what they need.
import _ "github.com/OctopusDeploy/go-octopusdeploy/v2/test/e2e"
