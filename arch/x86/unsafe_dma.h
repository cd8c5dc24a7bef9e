/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_UNSAFE_DMA_H
#define ARCH_X86_UNSAFE_DMA_H

struct iommu_ops;

/* For a machine without an IOMMU whose owner said unsafe_dma=1; says so, loudly. Boot CPU. */
const struct iommu_ops *unsafe_dma_start(void);

#endif
