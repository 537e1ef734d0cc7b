package octopus

import "time"

// ID returns the resource's identifier, such as "Projects-1".
func (o Object) ID() string { return o.Text("Id") }

// Name returns the resource's name.
func (o Object) Name() string { return o.Text("Name") }

// Slug returns the name as it stands in addresses, "" on servers older than 2022.
func (o Object) Slug() string { return o.Text("Slug") }

// SpaceID returns the Octopus space that owns the resource, "" where the whole server does.
func (o Object) SpaceID() string { return o.Text("SpaceId") }

// Link returns a link of the resource: a path or an RFC 6570 template for [Expand], "" where there is none.
func (o Object) Link(name string) string { return o.Object("Links").Text(name) }

// Time returns a member that is a moment, the zero time where there is none.
func (o Object) Time(name string) time.Time { return As[time.Time](o, name) }

// Root is the answer of GET /api, the only route that an Octopus server answers without a key.
type Root struct{ Object }

// Application is "Octopus Deploy".
func (r Root) Application() string { return r.Text("Application") }

// Version is the server's version.
func (r Root) Version() Version { return Version(r.Text("Version")) }

// APIVersion is "3.0.0" on every server since 2015; official clients accept 3.0.x.
func (r Root) APIVersion() string { return r.Text("ApiVersion") }

// InstallationID is the identity of the server's database: the same after an upgrade or under another address.
func (r Root) InstallationID() string { return r.Text("InstallationId") }

// Space is a space inside an Octopus server (GET /api/spaces).
type Space struct{ Object }

// Description says what the space is for.
func (s Space) Description() string { return s.Text("Description") }

// IsDefault tells whether routes without a space mean this one.
func (s Space) IsDefault() bool { return s.Bool("IsDefault") }

// TaskQueueStopped tells whether the space starts no tasks; a space can be deleted only then.
func (s Space) TaskQueueStopped() bool { return s.Bool("TaskQueueStopped") }

// User is a person or a service account (GET /api/users).
type User struct{ Object }

// Username is the name to sign in with.
func (u User) Username() string { return u.Text("Username") }

// DisplayName is the name to show.
func (u User) DisplayName() string { return u.Text("DisplayName") }

// EmailAddress may be empty.
func (u User) EmailAddress() string { return u.Text("EmailAddress") }

// IsActive tells whether the user may sign in.
func (u User) IsActive() bool { return u.Bool("IsActive") }

// IsService tells whether the user is a service account, which has keys and no password.
func (u User) IsService() bool { return u.Bool("IsService") }

// PermissionSet is what a user may do (GET /api/users/{id}/permissions).
type PermissionSet struct{ Object }

// Restriction limits a permission; an empty list means no limit of that sort, an empty SpaceID the whole server.
type Restriction struct {
	SpaceID         string   `json:"SpaceId"`
	ProjectIDs      []string `json:"RestrictedToProjectIds"`
	EnvironmentIDs  []string `json:"RestrictedToEnvironmentIds"`
	TenantIDs       []string `json:"RestrictedToTenantIds"`
	ProjectGroupIDs []string `json:"RestrictedToProjectGroupIds"`
}

// limited tells whether the restriction leaves out part of its space.
func (r Restriction) limited() bool {
	return len(r.ProjectIDs)+len(r.EnvironmentIDs)+len(r.TenantIDs)+len(r.ProjectGroupIDs) > 0
}

// System returns the permissions that hold on the whole server, such as "AdministerSystem".
func (p PermissionSet) System() []string { return p.Texts("SystemPermissions") }

// InSpaces returns where a permission is granted, one restriction for each grant.
func (p PermissionSet) InSpaces(permission string) []Restriction {
	return As[[]Restriction](p.Object.Object("SpacePermissions"), permission)
}

// Has tells whether the user holds the permission on the whole server, or in all of the named space.
func (p PermissionSet) Has(permission, space string) bool {
	for _, name := range p.System() {
		if name == permission {
			return true
		}
	}
	for _, r := range p.InSpaces(permission) {
		if space != "" && r.SpaceID == space && !r.limited() {
			return true
		}
	}
	return false
}

// Complete tells whether the server showed everything: it leaves out what the asker may not see.
func (p PermissionSet) Complete() bool {
	return p.Bool("IsPermissionsComplete") && p.Bool("IsTeamsComplete")
}

// Project is a project of a space.
type Project struct{ Object }

// VariableSetID names the project's variables (GET /api/{space}/variables/{id}).
func (p Project) VariableSetID() string { return p.Text("VariableSetId") }

// DeploymentProcessID names the project's process (GET /api/{space}/deploymentprocesses/{id}).
func (p Project) DeploymentProcessID() string { return p.Text("DeploymentProcessId") }

// Subscription sends a space's events to a webhook (GET /api/{space}/subscriptions).
type Subscription struct{ Object }

// IsDisabled tells whether nothing is sent.
func (s Subscription) IsDisabled() bool { return s.Bool("IsDisabled") }

// WebhookURI is where events are sent.
func (s Subscription) WebhookURI() string {
	return s.Object.Object("EventNotificationSubscription").Text("WebhookURI")
}

// NewSubscription describes a webhook for every event of the space, with one header that proves the sender. The value
// of the header is kept by Octopus in clear.
func NewSubscription(name, uri, headerKey, headerValue string) Subscription {
	var hook, s Object
	hook.Set("Filter", map[string]any{})
	hook.Set("WebhookURI", uri)
	hook.Set("WebhookTimeout", "00:00:10") // a .NET TimeSpan; the server's own default
	hook.Set("WebhookHeaderKey", headerKey)
	hook.Set("WebhookHeaderValue", headerValue)
	s.Set("Name", name)
	s.Set("Type", "Event")
	s.Set("IsDisabled", false)
	s.Set("EventNotificationSubscription", hook)
	return Subscription{s}
}
