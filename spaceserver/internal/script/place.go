package script

import (
	"cmp"
	"context"
	"net/url"
	"strconv"

	"odcm/octopus"
	"odcm/spaceserver/internal/problem"
)

// For is where the scripts for a machine run: by SSH on the machine, or for a cloud region on the server (docs:
// infrastructure/deployment-targets/cloud-regions). The machine is a document of Machines or Workers, the account the one
// that its endpoint names, with its secrets by their path. Nothing is contacted yet.
func For(_ context.Context, machine, account octopus.Object, secrets map[string]string, local *Local) (Place, error) {
	endpoint := machine.Object("Endpoint")
	name := machine.Text("Name")
	switch style := endpoint.Text("CommunicationStyle"); style {
	case "None":
		return local, nil
	case "Ssh":
	case "TentaclePassive", "TentacleActive", "KubernetesTentacle":
		return nil, problem.Unsupported("This Space server does not talk to Tentacles: '%s' has to be an SSH target or a cloud region.", name)
	default:
		return nil, problem.Unsupported("This Space server does not reach targets of the kind '%s': '%s' has to be an SSH target or a cloud region.", style, name)
	}
	if endpoint.Text("ProxyId") != "" {
		return nil, problem.Unsupported("This Space server does not reach SSH targets through a proxy: take it off the target '%s'.", name)
	}
	o := SSHOptions{Fingerprint: endpoint.Text("Fingerprint"), HostKeyAlgorithm: endpoint.Text("HostKeyAlgorithm"), Username: account.Text("Username")}
	o.Host, o.Port = endpoint.Text("Host"), int(endpoint.Int("Port"))
	if address, err := url.Parse(endpoint.Text("Uri")); o.Host == "" && err == nil { // ssh://host:22/, as older clients send it
		o.Host = address.Hostname()
		o.Port, _ = strconv.Atoi(cmp.Or(address.Port(), "22")) // a port of a URL is a number
	}
	if o.Host == "" || o.Port < 0 || o.Port > 65535 {
		return nil, problem.Invalid("The target '" + name + "' has no Host and Port that could be reached.")
	}
	switch typ := account.Text("AccountType"); typ {
	case "SshKeyPair":
		if o.PrivateKey, o.Passphrase = secrets["/PrivateKeyFile"], secrets["/PrivateKeyPassphrase"]; o.PrivateKey == "" {
			return nil, problem.Invalid("The account '" + account.Text("Name") + "' has no private key.")
		}
	case "UsernamePassword":
		o.Password = secrets["/Password"]
	case "":
		return nil, problem.Invalid("The target '" + name + "' has no account to log in with.")
	default:
		return nil, problem.Invalid("An account of the type " + typ + " cannot log in by SSH: the target '" + name + "' needs an SSH key pair, or user name and password.")
	}
	return NewSSH(o), nil
}
