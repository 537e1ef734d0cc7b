//go:build requirement

// Package officialcli requires the official Octopus CLI, so that tests can build it from here: the product does not depend
// on it. Nothing is compiled of this file; it keeps the requirement in go.mod.
package officialcli

import _ "github.com/OctopusDeploy/cli/cmd/octopus"
