package officialclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/accounts"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/certificates"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/core"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/credentials"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/environments"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/machinepolicies"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/machines"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/proxies"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/workerpools"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/workers"
)

func (g *ground) infrastructure(t *testing.T) {
	c := g.c
	live(t, "environments", life[*environments.Environment]{
		add: func() (*environments.Environment, error) {
			return environments.Add(c, environments.NewEnvironment("Another"))
		},
		get:    func(id string) (*environments.Environment, error) { return environments.GetByID(c, space, id) },
		list:   func() ([]*environments.Environment, error) { return environments.GetAll(c, space) },
		update: func(e *environments.Environment) (*environments.Environment, error) { return environments.Update(c, e) },
		delete: func(id string) error { return environments.DeleteByID(c, space, id) },
		change: func(e *environments.Environment) { e.Description = "changed" },
		same:   func(e *environments.Environment) bool { return e.Description == "changed" },
	})
	live(t, "machines", life[*machines.DeploymentTarget]{
		add: func() (*machines.DeploymentTarget, error) {
			return machines.Add(c, machines.NewDeploymentTarget("Another", machines.NewCloudRegionEndpoint(), []string{g.environment.GetID()}, []string{"web"}))
		},
		get:    func(id string) (*machines.DeploymentTarget, error) { return machines.GetByID(c, space, id) },
		list:   func() ([]*machines.DeploymentTarget, error) { return machines.GetAll(c, space) },
		update: func(m *machines.DeploymentTarget) (*machines.DeploymentTarget, error) { return machines.Update(c, m) },
		delete: func(id string) error { return machines.DeleteByID(c, space, id) },
		change: func(m *machines.DeploymentTarget) { m.IsDisabled = true },
		same:   func(m *machines.DeploymentTarget) bool { return m.IsDisabled },
	})
	live(t, "machine policies", life[*machinepolicies.MachinePolicy]{
		add: func() (*machinepolicies.MachinePolicy, error) {
			return machinepolicies.Add(c, machinepolicies.NewMachinePolicy("Another"))
		},
		get:  func(id string) (*machinepolicies.MachinePolicy, error) { return machinepolicies.GetByID(c, space, id) },
		list: func() ([]*machinepolicies.MachinePolicy, error) { return machinepolicies.GetAll(c, space) },
		update: func(p *machinepolicies.MachinePolicy) (*machinepolicies.MachinePolicy, error) {
			return machinepolicies.Update(c, p)
		},
		delete: func(id string) error { return machinepolicies.DeleteByID(c, space, id) },
		change: func(p *machinepolicies.MachinePolicy) { p.Description = "changed" },
		same:   func(p *machinepolicies.MachinePolicy) bool { return p.Description == "changed" },
	})
	live(t, "worker pools", life[workerpools.IWorkerPool]{
		add: func() (workerpools.IWorkerPool, error) {
			return workerpools.Add(c, workerpools.NewStaticWorkerPool("Another"))
		},
		get: func(id string) (workerpools.IWorkerPool, error) { return workerpools.GetByID(c, space, id) },
		list: func() ([]workerpools.IWorkerPool, error) {
			page, err := workerpools.Get(c, space, workerpools.WorkerPoolsQuery{Take: 1000})
			if err != nil {
				return nil, err
			}
			return page.Items, nil
		},
		update: func(p workerpools.IWorkerPool) (workerpools.IWorkerPool, error) { return workerpools.Update(c, p) },
		delete: func(id string) error { return workerpools.DeleteByID(c, space, id) },
		change: func(p workerpools.IWorkerPool) { p.SetName("Changed") },
		same:   func(p workerpools.IWorkerPool) bool { return p.GetName() == "Changed" },
	})
	live(t, "workers", life[*machines.Worker]{
		add: func() (*machines.Worker, error) {
			at, err := url.Parse("https://192.0.2.1:10933/")
			if err != nil {
				return nil, err
			}
			w := machines.NewWorker("Another", machines.NewListeningTentacleEndpoint(at, "0123456789ABCDEF0123456789ABCDEF01234567"))
			w.WorkerPoolIDs = []string{g.pool.GetID()}
			return workers.Add(c, w)
		},
		get:    func(id string) (*machines.Worker, error) { return workers.GetByID(c, space, id) },
		list:   func() ([]*machines.Worker, error) { return workers.GetAll(c, space) },
		update: func(w *machines.Worker) (*machines.Worker, error) { return workers.Update(c, w) },
		delete: func(id string) error { return workers.DeleteByID(c, space, id) },
		change: func(w *machines.Worker) { w.IsDisabled = true },
		same:   func(w *machines.Worker) bool { return w.IsDisabled },
	})
	live(t, "proxies", life[*proxies.Proxy]{
		add: func() (*proxies.Proxy, error) {
			return proxies.Add(c, proxies.NewProxy("Another", "192.0.2.2", "u", core.NewSensitiveValue("secret")))
		},
		get:    func(id string) (*proxies.Proxy, error) { return proxies.GetByID(c, space, id) },
		list:   func() ([]*proxies.Proxy, error) { return proxies.GetAll(c, space) },
		update: func(p *proxies.Proxy) (*proxies.Proxy, error) { return proxies.Update(c, p) },
		delete: func(id string) error { return proxies.DeleteByID(c, space, id) },
		change: func(p *proxies.Proxy) { p.Port = 3129 },
		same:   func(p *proxies.Proxy) bool { return p.Port == 3129 },
	})
	live(t, "accounts", life[accounts.IAccount]{
		add: func() (accounts.IAccount, error) {
			a, err := accounts.NewUsernamePasswordAccount("Another")
			if err != nil {
				return nil, err
			}
			a.SetUsername("u")
			a.SetPassword(core.NewSensitiveValue("secret"))
			return accounts.Add(c, a)
		},
		get:    func(id string) (accounts.IAccount, error) { return accounts.GetByID(c, space, id) },
		list:   func() ([]accounts.IAccount, error) { return accounts.GetAll(c, space) },
		update: func(a accounts.IAccount) (accounts.IAccount, error) { return accounts.Update(c, a) },
		delete: func(id string) error { return accounts.DeleteByID(c, space, id) },
		change: func(a accounts.IAccount) { a.SetDescription("changed") },
		same:   func(a accounts.IAccount) bool { return a.GetDescription() == "changed" },
	})
	live(t, "certificates", life[*certificates.CertificateResource]{
		add: func() (*certificates.CertificateResource, error) {
			data, err := certificate()
			if err != nil {
				return nil, err
			}
			made, err := certificates.Add(c, certificates.NewCertificateResource("Another", core.NewSensitiveValue(data), core.NewSensitiveValue("")))
			if err == nil && (made.SubjectCommonName != "another.test" || len(made.Thumbprint) != 40) {
				err = fmt.Errorf("it is of %q with thumbprint %q", made.SubjectCommonName, made.Thumbprint)
			}
			return made, err
		},
		get:  func(id string) (*certificates.CertificateResource, error) { return certificates.GetByID(c, space, id) },
		list: func() ([]*certificates.CertificateResource, error) { return certificates.GetAll(c, space) },
		update: func(r *certificates.CertificateResource) (*certificates.CertificateResource, error) {
			return certificates.Update(c, r)
		},
		delete: func(id string) error { return certificates.DeleteByID(c, space, id) },
		change: func(r *certificates.CertificateResource) { r.Notes = "changed" },
		same:   func(r *certificates.CertificateResource) bool { return r.Notes == "changed" },
	})
	live(t, "git credentials", life[*credentials.Resource]{
		add: func() (*credentials.Resource, error) {
			return credentials.Add(c, credentials.NewResource("Another", credentials.NewUsernamePassword("u", core.NewSensitiveValue("secret"))))
		},
		get: func(id string) (*credentials.Resource, error) { return credentials.GetByID(c, space, id) },
		list: func() ([]*credentials.Resource, error) {
			return items(credentials.Get(c, space, credentials.Query{Take: 1000}))
		},
		update: func(r *credentials.Resource) (*credentials.Resource, error) { return credentials.Update(c, r) },
		delete: func(id string) error { return credentials.DeleteByID(c, space, id) },
		change: func(r *credentials.Resource) { r.Description = "changed" },
		same:   func(r *credentials.Resource) bool { return r.Description == "changed" },
	})
}

// certificate makes a certificate as the server takes it: PEM in base64.
func certificate() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), err
}
