package part

// Parts of templates that several kinds have.
const (
	Tenanted   = `"Untenanted|TenantedOrUntenanted|Tenanted"`
	Parameters = `[{"Id":"<guid?>","Name":"","Label":"","HelpText":"","DefaultValue":null,"DisplaySettings":{}}]`
)
