package scim

import "odcm/manager/identity/scim/attribute"

// config says what the server can do (RFC 7643 section 5).
func (s *Service) config() attribute.Object {
	no := attribute.Object{"supported": false}
	return attribute.Object{
		"schemas":        []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":          attribute.Object{"supported": true},
		"bulk":           attribute.Object{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         attribute.Object{"supported": true, "maxResults": maxCount},
		"changePassword": no, "sort": no,
		"etag": attribute.Object{"supported": true},
		"authenticationSchemes": []attribute.Object{{
			"type": "oauthbearertoken", "name": "Token", "description": "A token of the directory, sent as Authorization: Bearer", "primary": true,
		}},
		"meta": attribute.Object{"resourceType": "ServiceProviderConfig", "location": s.Address() + "/ServiceProviderConfig"},
	}
}

func (s *Service) resourceTypes() []attribute.Object {
	of := func(k Kind, description string) attribute.Object {
		o := attribute.Object{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": string(k), "name": string(k),
			"endpoint": "/" + string(k) + "s", "description": description, "schema": k.schema(),
			"meta": attribute.Object{"resourceType": "ResourceType", "location": s.Address() + "/ResourceTypes/" + string(k)},
		}
		if k == User {
			o["schemaExtensions"] = []attribute.Object{{"schema": attribute.EnterpriseSchema, "required": false}}
		}
		return o
	}
	return []attribute.Object{of(User, "A person who may sign in"), of(Group, "A group of people")}
}

// field describes an attribute as RFC 7643 section 7 does.
type field struct {
	name, typ string
	multi     bool
	must      bool
	exact     bool
	fixed     bool // only the server says it
	unique    bool
	parts     []field
}

func (a field) object() attribute.Object {
	word := func(yes bool, then, otherwise string) string {
		if yes {
			return then
		}
		return otherwise
	}
	o := attribute.Object{
		"name": a.name, "type": a.typ, "multiValued": a.multi, "required": a.must, "caseExact": a.exact,
		"mutability": word(a.fixed, "readOnly", "readWrite"), "returned": "default", "uniqueness": word(a.unique, "server", "none"),
	}
	if len(a.parts) > 0 {
		o["subAttributes"] = objects(a.parts)
	}
	return o
}

func objects(all []field) []attribute.Object {
	out := make([]attribute.Object, len(all))
	for i, a := range all {
		out[i] = a.object()
	}
	return out
}

func simple(names ...string) []field {
	all := make([]field, len(names))
	for i, name := range names {
		all[i] = field{name: name, typ: "string"}
	}
	return all
}

// schemas describes what is understood. Other attributes of RFC 7643 are kept and answered as they came.
func (s *Service) schemas() []attribute.Object {
	valued := append(simple("value", "type", "display"), field{name: "primary", typ: "boolean"})
	external := field{name: "externalId", typ: "string", exact: true}
	of := func(id, name string, attributes []field) attribute.Object {
		return attribute.Object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": id, "name": name, "attributes": objects(attributes),
			"meta": attribute.Object{"resourceType": "Schema", "location": s.Address() + "/Schemas/" + id}}
	}
	return []attribute.Object{
		of(attribute.UserSchema, "User", append(simple("displayName", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone"),
			field{name: "userName", typ: "string", must: true, unique: true}, external,
			field{name: "name", typ: "complex", parts: simple("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix")},
			field{name: "active", typ: "boolean"},
			field{name: "emails", typ: "complex", multi: true, parts: valued},
			field{name: "phoneNumbers", typ: "complex", multi: true, parts: valued},
			field{name: "addresses", typ: "complex", multi: true, parts: simple("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type")})),
		of(attribute.GroupSchema, "Group", []field{
			{name: "displayName", typ: "string", must: true}, external,
			{name: "members", typ: "complex", multi: true, parts: []field{
				{name: "value", typ: "string", exact: true}, {name: "display", typ: "string", fixed: true}, {name: "type", typ: "string", fixed: true},
			}},
		}),
		of(attribute.EnterpriseSchema, "EnterpriseUser", append(simple("employeeNumber", "costCenter", "organization", "division", "department"),
			field{name: "manager", typ: "complex", parts: simple("value", "displayName")})),
	}
}
