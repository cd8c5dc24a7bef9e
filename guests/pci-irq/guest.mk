# "interrupts64": the interrupts of QEMU's edu device, passed through as 00:01.0, by its pin and by message.
$(eval $(call guest,pci-irq,interrupts64))
