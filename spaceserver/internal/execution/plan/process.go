package plan

import (
	"strconv"
	"strings"

	"odcm/octopus"
)

// Process is what a deployment process or a runbook process says: DeploymentProcessResource in the Swagger document.
type Process struct{ Steps []Step }

// Step is one step, with the actions that it runs one after the other.
type Step struct {
	ID                 string `json:"Id"`
	Name               string
	PackageRequirement string
	Condition          string // Success, Failure, Always, Variable
	StartTrigger       string // StartAfterPrevious, StartWithPrevious
	Properties         Properties
	Actions            []Action
}

// Action is what a step does: DeploymentActionResource in the Swagger document.
type Action struct {
	ID                                                       string `json:"Id"`
	Name, ActionType                                         string
	IsDisabled, IsRequired                                   bool
	WorkerPoolID                                             string `json:"WorkerPoolId"`
	WorkerPoolVariable                                       string
	Environments, ExcludedEnvironments, Channels, TenantTags []string
	Packages                                                 []Package
	Container                                                Container
	Condition                                                string
	Properties                                               Properties
}

// Container is the image that an action's scripts are to run in (DeploymentActionContainerResource in the Swagger document).
type Container struct{ Image string }

// Package is a package that an action uses. The one without a name is what a package step deploys.
type Package struct {
	Name                string
	PackageID           string `json:"PackageId"`
	FeedID              string `json:"FeedId"`
	AcquisitionLocation string
	Properties          Properties
	Version             string `json:"-"` // chosen by the release
}

// Properties are the settings of a step, an action or a package reference by their names.
type Properties map[string]Property

// Property is one setting. A secret one has no text until it is filled in from where secrets are kept.
type Property struct {
	Text   string
	Secret bool
}

// UnmarshalJSON reads a text, a sensitive value or null, as PropertyValue in the Swagger document.
func (p *Property) UnmarshalJSON(b []byte) error {
	var value octopus.PropertyValue
	if err := value.UnmarshalJSON(b); err != nil {
		return err
	}
	_, p.Secret = value.Sensitive()
	p.Text = value.Text()
	return nil
}

// Get returns a setting by its name in any case, "" where there is none.
func (p Properties) Get(name string) string {
	if v, ok := p[name]; ok {
		return v.Text
	}
	for key, v := range p {
		if strings.EqualFold(key, name) {
			return v.Text
		}
	}
	return ""
}

// Flag tells whether a setting is "True", in any case.
func (p Properties) Flag(name string) bool { return strings.EqualFold(p.Get(name), "true") }

// Number reads a setting as a whole number above zero; otherwise the default.
func (p Properties) Number(name string, otherwise int) int {
	return number(p.Get(name), otherwise)
}

func number(text string, otherwise int) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n <= 0 {
		return otherwise
	}
	return n
}

// list takes apart what is written with commas, as target tags are.
func list(text string) []string {
	var all []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}
