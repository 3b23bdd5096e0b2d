//! `/docs`: Swagger UI, which shows the document in a browser.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use http::{HeaderName, StatusCode, header};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

/// The title in the files of Swagger UI.
const TITLE: &str = "<title>Swagger UI</title>";

/// The headers of every file. The page runs its own scripts, calls its own service and is shown in no other page, so that nothing
/// else sees the token that somebody types into it. Swagger UI writes styles into its elements, and has pictures in `data:`.
const HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What the page is made of.
struct Page {
    title: String,
    config: Arc<Config<'static>>,
}

/// The page, titled `title`, of the document at `document`, whose address is relative to it. `/` leads to it.
pub(super) fn page(title: &str, document: String) -> Router {
    // The token stays in the page's memory, and is gone with it. No validator: the default one sends the document's address to
    // swagger.io.
    let config = Config::new([document]).try_it_out_enabled(true).validator_url("none");
    let title = format!("<title>{}</title>", escaped(title));
    let page = Arc::new(Page { title, config: Arc::new(config) });
    // Relative, because an ingress may have put a path before it.
    let to_page = get(async || Redirect::temporary("docs/"));
    Router::new()
        .route("/", to_page.clone())
        .route("/docs", to_page)
        .route("/docs/", get(async |State(page): State<Arc<Page>>| page.file("index.html")))
        .route(
            "/docs/{*file}",
            get(async |State(page): State<Arc<Page>>, Path(file): Path<String>| page.file(&file)),
        )
        .with_state(page)
}

impl Page {
    fn file(&self, name: &str) -> Response {
        match serve(name, Arc::clone(&self.config)) {
            Ok(Some(file)) => {
                let content_type = file.content_type.clone();
                (HEADERS, [(header::CONTENT_TYPE, content_type)], self.titled(name, file))
                    .into_response()
            }
            Ok(None) => StatusCode::NOT_FOUND.into_response(),
            Err(error) => {
                tracing::error!(cause = %error, file = name, "a file of /docs could not be made");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// The bytes of `file`, with the page's own title.
    fn titled(&self, name: &str, file: SwaggerFile<'static>) -> Cow<'static, [u8]> {
        match name {
            "index.html" => {
                let html = String::from_utf8_lossy(&file.bytes).replace(TITLE, &self.title);
                Cow::Owned(html.into_bytes())
            }
            _ => file.bytes,
        }
    }
}

/// `text` as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
