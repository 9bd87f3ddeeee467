//! Logos and screenshots: decoded within limits and encoded anew, so that nothing but pixels is kept.

use std::io::Cursor;

use bytes::Bytes;
use http::header;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::routes::listing_of_path;
use super::store::Listing;
use crate::context::Context;
use crate::encoding::hex;
use crate::params;
use crate::routes::Outcome;
use crate::web::{Failure, response};

/// The largest upload.
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// The longest side.
const MOST_PIXELS: u32 = 4_096;
/// The most memory that decoding may take.
const MOST_MEMORY: u64 = 96 * 1024 * 1024;
/// A listing keeps at most this many pictures.
const MOST_IMAGES: i64 = 60;

/// A stored picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageView {
    /// What a listing names it by.
    pub id: String,
    /// Where it is shown.
    pub url: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// A picture encoded anew.
struct Encoded {
    bytes: Vec<u8>,
    media_type: &'static str,
    width: u32,
    height: u32,
    contrast: i64,
}

fn refused(code: &str, detail: &str) -> Failure {
    Failure::field("image", code, detail)
}

/// Decodes and encodes; `Err` says what to do.
fn re_encode(upload: &[u8]) -> Result<Encoded, Failure> {
    if upload.is_empty() || upload.len() > MOST_BYTES {
        return Err(refused("size", "Upload a picture of at most 3 MB."));
    }
    let unreadable = || {
        refused(
            "type",
            "Upload a PNG, JPEG or WebP picture. SVG and others are not taken.",
        )
    };
    let mut reader = ImageReader::new(Cursor::new(upload))
        .with_guessed_format()
        .map_err(|_| unreadable())?;
    let is_raster = matches!(
        reader.format(),
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)
    );
    if !is_raster {
        return Err(unreadable());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => {
            refused("too_large", "Use at most 4 096 pixels on each side.")
        }
        _ => refused(
            "damaged",
            "The picture cannot be read: it is damaged or not what its name says.",
        ),
    })?;
    let (width, height) = (picture.width(), picture.height());
    let contrast = contrast(&picture);
    let mut bytes = Vec::new();
    let is_opaque = !picture.color().has_alpha();
    // PNG keeps edges and transparency; photographs are much smaller as JPEG.
    let (format, media_type, picture) = if is_opaque && width.max(height) > 1_024 {
        (
            ImageFormat::Jpeg,
            "image/jpeg",
            DynamicImage::from(picture.to_rgb8()),
        )
    } else {
        (
            ImageFormat::Png,
            "image/png",
            DynamicImage::from(picture.to_rgba8()),
        )
    };
    picture
        .write_to(&mut Cursor::new(&mut bytes), format)
        .map_err(|error| Failure::internal(&format!("a picture does not encode: {error}")))?;
    Ok(Encoded {
        bytes,
        media_type,
        width,
        height,
        contrast,
    })
}

/// Contrast of the lightest against the darkest pixel (WCAG 2.2), times 100. What is transparent counts
/// as the white page behind it.
fn contrast(picture: &DynamicImage) -> i64 {
    let (mut darkest, mut lightest) = (f64::MAX, f64::MIN);
    for pixel in picture.thumbnail(256, 256).to_rgba8().pixels() {
        let [red, green, blue, alpha] = pixel.0;
        let linear = |channel: u8| {
            let share = f64::from(alpha) / 255.0;
            let value = (f64::from(channel) / 255.0).mul_add(share, 1.0 - share);
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        darkest = darkest.min(luminance);
        lightest = lightest.max(luminance);
    }
    ((lightest + 0.05) / (darkest + 0.05) * 100.0) as i64
}

/// Stores a picture of a listing.
pub async fn store_image(
    context: &Context,
    listing: &Listing,
    upload: &[u8],
) -> Result<ImageView, Failure> {
    let kept: i64 = context
        .connection
        .query_one(
            "SELECT COUNT(*) FROM listing_images WHERE listing_id = $1",
            params![listing.id],
        )
        .await?
        .get(0)?;
    if kept >= MOST_IMAGES {
        return Err(Failure::conflict(
            "too_many_images",
            "The listing has 60 pictures already.",
        ));
    }
    let encoded = {
        let _turn = context.connection.take_turn().await?;
        re_encode(upload)?
    };
    // The listing is part of the name: two listings with the same picture do not share a row.
    let mut digest = Sha256::new();
    digest.update(listing.id.to_string().as_bytes());
    digest.update(&encoded.bytes);
    let name = hex(&digest.finalize());
    let id = format!("img_{}", name.get(..40).unwrap_or_default());
    context
        .connection
        .execute(
            "INSERT INTO listing_images (image_id, listing_id, media_type, width, height, contrast, bytes, created_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (image_id) DO NOTHING",
            params![
                &id,
                listing.id,
                encoded.media_type,
                encoded.width,
                encoded.height,
                encoded.contrast,
                encoded.bytes,
                context.now_ms
            ],
        )
        .await?;
    Ok(ImageView {
        url: format!("/listing-images/{id}"),
        id,
        width: encoded.width,
        height: encoded.height,
    })
}

/// `POST /api/v1/apps/{app_id}/listing/images`: the body is the picture.
pub async fn upload_image(context: &Context) -> Outcome {
    let listing = listing_of_path(context).await?;
    response::created(&store_image(context, &listing, context.request.body()).await?)
}

/// `GET /listing-images/{image_id}`
pub async fn show_image(context: &Context) -> Outcome {
    let row = context
        .connection
        .query_optional(
            "SELECT media_type, bytes FROM listing_images WHERE image_id = $1",
            params![context.path_text("image_id")],
        )
        .await?
        .ok_or_else(Failure::not_found)?;
    let media_type = match row.get::<String>(0)?.as_str() {
        "image/jpeg" => "image/jpeg",
        _ => "image/png",
    };
    let bytes: Vec<u8> = row.get(1)?;
    let mut answer = response::with_body(http::StatusCode::OK, media_type, Bytes::from(bytes));
    response::set_header(
        &mut answer,
        header::CACHE_CONTROL,
        "public, max-age=31536000, immutable",
    );
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let picture = image::RgbaImage::from_fn(width, height, |x, _| {
            image::Rgba(if x % 2 == 0 {
                [0, 0, 0, 255]
            } else {
                [255, 255, 255, 255]
            })
        });
        let mut bytes = Vec::new();
        picture
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        bytes
    }

    #[test]
    fn only_rasters_within_limits_are_taken_and_nothing_but_pixels_is_kept() {
        let mut tagged = png(200, 200);
        tagged.extend_from_slice(b"<script>alert(1)</script>");
        let encoded = re_encode(&tagged).unwrap();
        assert_eq!((encoded.width, encoded.height), (200, 200));
        assert!(!encoded.bytes.windows(8).any(|window| window == b"<script>"));
        for (upload, code) in [
            (
                b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
                "type",
            ),
            (b"GIF89a\x01\x00\x01\x00".to_vec(), "type"),
            (png(20, 20)[..60].to_vec(), "damaged"),
            (Vec::new(), "size"),
            (vec![0; MOST_BYTES + 1], "size"),
            (png(4_200, 2), "too_large"),
        ] {
            let Err(failure) = re_encode(&upload) else {
                panic!("{code} was taken")
            };
            assert_eq!(failure.errors[0].code, code);
        }
    }

    #[test]
    fn contrast_is_that_of_the_extremes() {
        let black = image::RgbaImage::from_pixel(50, 50, image::Rgba([0, 0, 0, 255]));
        assert_eq!(contrast(&DynamicImage::from(black)), 100);
        let mut mark = image::RgbaImage::from_pixel(64, 64, image::Rgba([0, 0, 0, 0]));
        for x in 0..32 {
            for y in 0..64 {
                mark.put_pixel(x, y, image::Rgba([0, 0, 0, 255]));
            }
        }
        assert!(contrast(&DynamicImage::from(mark)) > 2_000);
    }
}
