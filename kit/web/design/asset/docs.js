// Shows the API that the page names. The files of Swagger UI stand before this one.
"use strict";
const place = document.getElementById("docs");
SwaggerUIBundle({ url: place.dataset.url, domNode: place, deepLinking: true, defaultModelsExpandDepth: -1, persistAuthorization: false, validatorUrl: null });
