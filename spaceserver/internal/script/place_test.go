package script_test

import (
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver/internal/script"
)

func TestWhereScriptsForAMachineRun(t *testing.T) {
	t.Parallel()
	local := place(t, script.LocalOptions{})
	const ssh = `"CommunicationStyle":"Ssh","Host":"web-1","Port":22,"Fingerprint":"SHA256:x","AccountId":"Accounts-1"`
	for name, c := range map[string]struct{ endpoint, account, want string }{
		"a cloud region":              {`"CommunicationStyle":"None"`, `{}`, "local"},
		"a host with a key":           {ssh, `{"AccountType":"SshKeyPair","Username":"deploy"}`, "ssh"},
		"a host with a password":      {ssh, `{"AccountType":"UsernamePassword","Username":"deploy"}`, "ssh"},
		"an address of older clients": {`"CommunicationStyle":"Ssh","Uri":"ssh://web-1:2222/","Fingerprint":"SHA256:x"`, `{"AccountType":"SshKeyPair"}`, "ssh"},
		"a Tentacle":                  {`"CommunicationStyle":"TentaclePassive"`, `{}`, "This Space server does not talk to Tentacles: 'm'"},
		"a polling Tentacle":          {`"CommunicationStyle":"TentacleActive"`, `{}`, "does not talk to Tentacles"},
		"a cluster":                   {`"CommunicationStyle":"Kubernetes"`, `{}`, "does not reach targets of the kind 'Kubernetes'"},
		"no style":                    {`"Host":"web-1"`, `{}`, "does not reach targets of the kind ''"},
		"behind a proxy":              {ssh + `,"ProxyId":"Proxies-1"`, `{"AccountType":"SshKeyPair"}`, "through a proxy"},
		"no host":                     {`"CommunicationStyle":"Ssh"`, `{"AccountType":"SshKeyPair"}`, "no Host and Port"},
		"no account":                  {ssh, `{}`, "has no account"},
		"an account of another kind":  {ssh, `{"AccountType":"Token"}`, "of the type Token cannot log in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parse := func(text string) octopus.Object {
				o, err := octopus.ParseObject([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			got, err := script.For(t.Context(), parse(`{"Name":"m","Endpoint":{`+c.endpoint+`}}`), parse(c.account), map[string]string{"/PrivateKeyFile": "k", "/Password": "p"}, local)
			_, remote := got.(*script.SSH)
			switch {
			case c.want == "local" && got != local, c.want == "ssh" && !remote:
				t.Errorf("%T, %v", got, err)
			case c.want != "local" && c.want != "ssh" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := script.For(t.Context(), octopus.Object{}, octopus.Object{}, nil, local); err == nil {
		t.Error("a machine that is empty has a place")
	}
}
